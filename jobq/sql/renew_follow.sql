-- The follower is still there. No row: it was away for so long that it has been forgotten.
UPDATE {schema}.follows
SET until = statement_timestamp() + %(seconds)s::float8 * interval '1 second'
WHERE id = %(id)s
RETURNING id
