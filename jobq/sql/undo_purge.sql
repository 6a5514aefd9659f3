-- Puts purged rows back into the history.
WITH back AS (
    DELETE FROM {schema}.kept
    WHERE act = %(act)s AND id = ANY (%(ids)s::bigint[])
    RETURNING row
), put_back AS (
    INSERT INTO {schema}.results
    SELECT result.*
    FROM back
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{schema}.results, back.row) AS result
    WHERE back.row IS NOT NULL
    RETURNING id
)
SELECT DISTINCT id FROM put_back
