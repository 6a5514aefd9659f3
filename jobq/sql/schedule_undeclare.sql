-- Marks schedules that no live worker declares any more. Where a live worker knows the class and does not declare the
-- schedule, the code has dropped it: then it also gives up its place in time, and if it ever comes back it starts anew.
-- Where nobody knows the class, its workers are only down, and what they miss meanwhile is theirs to make up for.
-- A worker that has not told its schedules yet says nothing either way. One that is locked is seen to the next time.
WITH declared AS MATERIALIZED (
    {declared}
), candidates AS MATERIALIZED (
    SELECT
        kept.name,
        EXISTS (
            SELECT FROM {schema}.workers
            WHERE workers.stopped_at IS NULL
                AND workers.schedules_at IS NOT NULL
                AND (
                    workers.classes @> jsonb_build_array(jsonb_build_object('name', kept.job_class))
                    OR workers.classes @> jsonb_build_array(jsonb_build_object('aliases', jsonb_build_array(kept.job_class)))
                )
        ) AS is_dropped
    FROM {schema}.schedules AS kept
    WHERE (kept.undeclared_at IS NULL OR kept.next_at IS NOT NULL)
        AND NOT EXISTS (SELECT FROM declared WHERE declared.name = kept.name)
    FOR UPDATE OF kept SKIP LOCKED
)
UPDATE {schema}.schedules
SET undeclared_at = coalesce(schedules.undeclared_at, statement_timestamp()),
    next_at = CASE WHEN candidates.is_dropped THEN NULL ELSE schedules.next_at END
FROM candidates
WHERE schedules.name = candidates.name AND (schedules.undeclared_at IS NULL OR candidates.is_dropped)
RETURNING schedules.name
