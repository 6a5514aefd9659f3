-- Failures that somebody knows of: out of what needs an operator, for a while.
CREATE TABLE {schema}.mutes (
    fingerprint text PRIMARY KEY,
    muted_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    muted_until timestamptz NOT NULL,
    muted_by text NOT NULL
);

COMMENT ON TABLE {schema}.mutes IS 'Groups of failures that nobody is to be told of for a while; one that is over says nothing.';
COMMENT ON COLUMN {schema}.mutes.fingerprint IS 'The group, as in results.';
COMMENT ON COLUMN {schema}.mutes.muted_at IS 'Since when.';
COMMENT ON COLUMN {schema}.mutes.muted_until IS 'Until when.';
COMMENT ON COLUMN {schema}.mutes.muted_by IS 'By whom, as user@host.';
