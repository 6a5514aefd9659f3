-- From now on nothing starts through a gate; what runs goes on. Who had paused it before stays named.
-- The pause of one lane is a row of `lanes`. How it was before is kept with the act, for its undo.
WITH was AS MATERIALIZED (
    SELECT gates.*
    FROM {schema}.gates
    WHERE name = %(gate)s AND (paused_at IS NULL OR paused_until <= statement_timestamp())
    FOR UPDATE
), paused AS (
    UPDATE {schema}.gates
    SET paused_at = statement_timestamp(),
        paused_until = statement_timestamp() + %(seconds)s::float8 * interval '1 second',
        paused_by = %(by)s,
        pause_reason = %(reason)s
    FROM was
    WHERE gates.name = was.name
    RETURNING gates.name
), put_aside AS (
    INSERT INTO {schema}.kept (act, id, attempt, row) SELECT %(act)s, 0, 0, to_jsonb(was) FROM was
)
SELECT name FROM paused
