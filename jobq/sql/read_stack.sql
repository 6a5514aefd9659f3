-- The answer, which goes once it is read.
DELETE FROM {schema}.stacks WHERE id = %(id)s AND answered_at IS NOT NULL RETURNING stack
