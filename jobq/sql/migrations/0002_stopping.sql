-- min_version: 1
-- Since when a worker stops. What it runs when it is killed then was cut off by the stop, and counts no loss.

ALTER TABLE {schema}.workers ADD COLUMN stopping_at timestamptz;

COMMENT ON COLUMN {schema}.workers.stopping_at IS 'Since when it stops: attempts that it does not survive count no loss.';
