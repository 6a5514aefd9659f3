-- min_version: 1
-- Which build of the application each worker runs, when builds came, and acts that wait for a build. An attempt names its
-- worker, so its build costs no byte.

ALTER TABLE {schema}.workers ADD COLUMN build text;

COMMENT ON COLUMN {schema}.workers.build IS 'The build of the application that it runs; null: unknown.';


CREATE TABLE {schema}.deploys (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT statement_timestamp(),
    build text NOT NULL
);

COMMENT ON TABLE {schema}.deploys IS 'When a build came: a worker registered with it while none lived that had it, and another came last.';
COMMENT ON COLUMN {schema}.deploys.id IS 'The order in which builds came.';
COMMENT ON COLUMN {schema}.deploys.at IS 'When its first worker registered.';
COMMENT ON COLUMN {schema}.deploys.build IS 'The build; one that comes again after another has several rows.';

CREATE INDEX deploys_build ON {schema}.deploys (build, id);


-- The act itself is done by a worker, in the name of whoever left it, once the build lives.
CREATE TABLE {schema}.waiting_retries (
    act bigint PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT statement_timestamp(),
    left_by text NOT NULL,
    selection text NOT NULL,
    build text NOT NULL,
    is_younger boolean NOT NULL,
    begun_at timestamptz
);

COMMENT ON TABLE {schema}.waiting_retries IS 'Retries that wait until a worker of some build lives.';
COMMENT ON COLUMN {schema}.waiting_retries.act IS 'The row of audit in which somebody left it.';
COMMENT ON COLUMN {schema}.waiting_retries.since IS 'When it was left.';
COMMENT ON COLUMN {schema}.waiting_retries.left_by IS 'Who left it, as the program says.';
COMMENT ON COLUMN {schema}.waiting_retries.selection IS 'The filter of the jobs, with fixed times.';
COMMENT ON COLUMN {schema}.waiting_retries.build IS 'The build that it waits for.';
COMMENT ON COLUMN {schema}.waiting_retries.is_younger IS 'It waits for any build that came after that one.';
COMMENT ON COLUMN {schema}.waiting_retries.begun_at IS 'When a worker took it up; another takes it up again after a while.';
