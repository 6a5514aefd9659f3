-- min_version: 1
-- What needs somebody now, as workers tell it: once when it begins, and once when it is over.

CREATE TABLE {schema}.alerts (
    key text PRIMARY KEY,
    kind text NOT NULL,
    text text NOT NULL,
    place text NOT NULL,
    since timestamptz NOT NULL DEFAULT statement_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    told_at timestamptz,
    over_at timestamptz
);

COMMENT ON TABLE {schema}.alerts IS 'What needs somebody, from when it is first seen until it is told that it is over.';
COMMENT ON COLUMN {schema}.alerts.key IS 'The same need in the next look.';
COMMENT ON COLUMN {schema}.alerts.kind IS 'The kind of need.';
COMMENT ON COLUMN {schema}.alerts.text IS 'What is said of it: as it was when it was seen last.';
COMMENT ON COLUMN {schema}.alerts.place IS 'Where the console shows it.';
COMMENT ON COLUMN {schema}.alerts.since IS 'When it was seen first.';
COMMENT ON COLUMN {schema}.alerts.seen_at IS 'When it was seen last.';
COMMENT ON COLUMN {schema}.alerts.told_at IS 'When it was told that it began; null: not yet.';
COMMENT ON COLUMN {schema}.alerts.over_at IS 'When it was not seen any more for a while; null: it goes on.';


CREATE TABLE {schema}.turns (
    name text PRIMARY KEY,
    taken_at timestamptz NOT NULL
);

COMMENT ON TABLE {schema}.turns IS 'What one worker does for all from time to time, and when one did it last.';
COMMENT ON COLUMN {schema}.turns.name IS 'What is done.';
COMMENT ON COLUMN {schema}.turns.taken_at IS 'When a worker last set about it.';
