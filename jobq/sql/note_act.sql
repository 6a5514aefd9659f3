-- Adds what one transaction of an act did to the act's row; of the jobs, only the first are named.
UPDATE {schema}.audit
SET ended_at = statement_timestamp(),
    affected = affected + %(affected)s,
    ids = (ids || %(ids)s::bigint[])[1:%(most)s],
    names = names || %(names)s::text[]
WHERE id = %(act)s
