-- The follower has gone.
DELETE FROM {schema}.follows WHERE id = %(id)s
