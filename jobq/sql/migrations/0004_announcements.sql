-- Jobs that are enqueued one by one are announced to a few of the workers that wait and know their class.
-- min_version: 1
ALTER TABLE {schema}.workers ADD COLUMN class_names text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN {schema}.workers.class_names IS 'The classes that it knows, by all their names: jobs of these are announced to it.';
