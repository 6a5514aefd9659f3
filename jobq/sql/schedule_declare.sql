-- Says which schedules the code of this worker declares, and since when: from now on, or, where it told so before under
-- another id, since it did. Of several workers with one name the youngest declaration counts; one that was declared dead
-- and came back with old code is no younger for it. The digest tells workers that declare the same from the others.
UPDATE {schema}.workers
SET schedules = %(schedules)s::text::jsonb,
    schedules_digest = md5(%(schedules)s::text),
    schedules_at = coalesce(%(since)s::timestamptz, statement_timestamp())
WHERE id = %(worker_id)s AND stopped_at IS NULL
RETURNING schedules_at
