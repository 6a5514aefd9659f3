-- The unfinished job that holds a unique key.
SELECT id, state FROM {schema}.jobs WHERE job_class = %(job_class)s::text AND unique_key = %(unique_key)s::text
