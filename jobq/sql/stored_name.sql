-- The first alias of a class, by the youngest worker that knows it under any of its names; null where it has none.
SELECT class -> 'aliases' ->> 0
FROM {schema}.workers
CROSS JOIN LATERAL jsonb_array_elements(classes) AS class
WHERE class ->> 'name' = %(name)s::text OR class -> 'aliases' ? %(name)s::text
ORDER BY workers.id DESC
LIMIT 1
