-- What the console asks for: the end of a worker, as at a first SIGTERM, and the acts of operators on a job. A worker of the
-- previous release does not look whether it is to stop, and goes on.

ALTER TABLE {schema}.workers
    ADD COLUMN stop_requested_at timestamptz,
    ADD COLUMN stop_requested_by text;

COMMENT ON COLUMN {schema}.workers.stop_requested_at IS 'Since when somebody wants it to stop once its jobs have ended.';
COMMENT ON COLUMN {schema}.workers.stop_requested_by IS 'Who wants that.';

CREATE INDEX audit_ids ON {schema}.audit USING gin (ids);
