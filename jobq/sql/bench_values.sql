-- What each job of `jobq bench` returned: when it began, by the clock of the machine.
SELECT id, value::float8
FROM {schema}.results
WHERE value IS NOT NULL
