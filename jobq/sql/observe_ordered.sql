-- A page of a list along the index of another order, by key. Only for orders that an index has.
SELECT id, {moment} AS moment
FROM {schema}.{table}
WHERE {condition}
ORDER BY {order}
LIMIT %(limit)s::bigint
