-- Questions whose asker has gone.
DELETE FROM {schema}.stacks WHERE requested_at < statement_timestamp() - interval '1 hour'
