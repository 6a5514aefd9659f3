-- Deletes the time spans of unique_for that are over. One that somebody is about to renew is locked, and is left alone.
DELETE FROM {schema}.throttles
WHERE (job_class, unique_key) IN (
    SELECT job_class, unique_key
    FROM {schema}.throttles
    WHERE until <= statement_timestamp()
    FOR UPDATE SKIP LOCKED
)
