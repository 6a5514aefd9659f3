UPDATE {schema}.stacks
SET stack = %(stack)s, answered_at = statement_timestamp()
WHERE id = %(id)s AND answered_at IS NULL
