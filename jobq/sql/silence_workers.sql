-- Declares workers dead whose heartbeat stands still: the caller has seen the same one for the limit, by its own
-- monotonic clock. It must be as old by the clock of the database too, so that no worker whose own clock runs fast does
-- harm; or lie in the future, where that clock was put back: else nobody would be declared dead until it is there again.
UPDATE {schema}.workers
SET stopped_at = statement_timestamp(), stop_reason = 'silent', waiting = false
FROM unnest(%(ids)s::bigint[], %(beats)s::float8[]) AS still (id, beat)
WHERE workers.id = still.id
    AND workers.stopped_at IS NULL
    AND extract(epoch FROM workers.heartbeat_at)::float8 = still.beat
    AND workers.heartbeat_at NOT BETWEEN statement_timestamp() - %(timeout)s::float8 * interval '1 second'
    AND statement_timestamp() + %(timeout)s::float8 * interval '1 second'
RETURNING workers.id, workers.host, workers.pid
