-- A page of the newest jobs of a list, sorted by a column that no index has: so many, and not all, however long the list is.
SELECT id, moment, count(*) OVER () AS number
FROM (
    SELECT id, {moment} AS moment, {column} AS value
    FROM {schema}.{table}
    WHERE {condition}
    ORDER BY {newest}
    LIMIT %(most)s::bigint
) AS newest
ORDER BY value {direction} NULLS LAST, id DESC
OFFSET %(place)s::bigint
LIMIT %(limit)s::bigint
