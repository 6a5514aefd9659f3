-- Ten thousand schedules: workers read those that are due, and of workers that declare the same they read one.

CREATE INDEX schedules_next ON {schema}.schedules (next_at) WHERE undeclared_at IS NULL AND next_at IS NOT NULL;

ALTER TABLE {schema}.workers ADD COLUMN schedules_digest text;

COMMENT ON COLUMN {schema}.workers.schedules_digest IS 'Tells apart what workers declare in their schedules; null: nothing yet.';

UPDATE {schema}.workers SET schedules_digest = md5(schedules::text) WHERE schedules_at IS NOT NULL;
