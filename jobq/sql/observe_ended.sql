-- How jobs ended: the last attempt of each that is finished.
SELECT id, outcome, attempt, value, error_type, error_message
FROM {schema}.results
WHERE id = ANY (%(ids)s::bigint[]) AND NOT retried
