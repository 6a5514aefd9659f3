-- Removes claims of this worker of which it holds no job any more. While it claims, claim.sql does it.
DELETE FROM {schema}.claims
WHERE id = ANY (%(over)s::bigint[])
    AND EXISTS (SELECT FROM {schema}.workers WHERE id = %(worker_id)s AND stopped_at IS NULL)
RETURNING id
