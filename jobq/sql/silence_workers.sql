-- Declares workers dead whose heartbeat stands still: the caller has seen the same one for the limit, by its own
-- monotonic clock. It must be as old by the clock of the database too, so that no worker whose own clock runs fast does
-- harm; or lie in the future, where that clock was put back: else nobody would be declared dead until it is there again.
-- One whose row somebody holds cannot beat, however alive it is: it is left alone, and named as locked.
WITH silent AS MATERIALIZED (
    SELECT workers.id, workers.host, workers.pid
    FROM unnest(%(ids)s::bigint[], %(beats)s::float8[]) AS still (id, beat)
    JOIN {schema}.workers USING (id)
    WHERE workers.stopped_at IS NULL
        AND extract(epoch FROM workers.heartbeat_at)::float8 = still.beat
        AND workers.heartbeat_at NOT BETWEEN statement_timestamp() - %(timeout)s::float8 * interval '1 second'
        AND statement_timestamp() + %(timeout)s::float8 * interval '1 second'
), free AS MATERIALIZED (
    SELECT workers.id
    FROM {schema}.workers
    JOIN unnest(%(ids)s::bigint[], %(beats)s::float8[]) AS still (id, beat) USING (id)
    WHERE workers.id IN (SELECT id FROM silent)
        AND workers.stopped_at IS NULL
        AND extract(epoch FROM workers.heartbeat_at)::float8 = still.beat
    ORDER BY workers.id
    FOR UPDATE OF workers SKIP LOCKED
), silenced AS (
    UPDATE {schema}.workers
    SET stopped_at = statement_timestamp(), stop_reason = 'silent', waiting = false
    FROM free
    WHERE workers.id = free.id
    RETURNING workers.id, workers.host, workers.pid
)
SELECT id, host, pid, false AS is_locked FROM silenced
UNION ALL
SELECT id, host, pid, true FROM silent WHERE id NOT IN (SELECT id FROM free)
