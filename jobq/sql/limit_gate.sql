-- Sets a limit above the declared one, for a time or until it is taken back; null takes it back. Workers are woken: more may
-- run now. How it was before is kept with the act, for its undo.
WITH was AS MATERIALIZED (
    SELECT gates.*
    FROM {schema}.gates
    WHERE name = %(gate)s AND (%(limit)s::integer IS NOT NULL OR set_max_running IS NOT NULL)
    FOR UPDATE
), changed AS (
    UPDATE {schema}.gates
    SET set_max_running = %(limit)s::integer,
        set_at = CASE WHEN %(limit)s::integer IS NOT NULL THEN statement_timestamp() END,
        set_until = CASE
            WHEN %(limit)s::integer IS NOT NULL THEN statement_timestamp() + %(seconds)s::float8 * interval '1 second'
        END,
        set_by = CASE WHEN %(limit)s::integer IS NOT NULL THEN %(by)s END,
        set_reason = CASE WHEN %(limit)s::integer IS NOT NULL THEN %(reason)s END
    FROM was
    WHERE gates.name = was.name
    RETURNING gates.name
), put_aside AS (
    INSERT INTO {schema}.kept (act, id, attempt, row) SELECT %(act)s, 0, 0, to_jsonb(was) FROM was
)
SELECT name, CASE WHEN pg_notification_queue_usage() < 0.9 THEN pg_notify(%(channel)s, name) END IS NOT NULL AS told
FROM changed
