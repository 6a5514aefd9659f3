SELECT class
FROM {schema}.workers
CROSS JOIN LATERAL jsonb_array_elements(classes) AS class
WHERE stopped_at IS NULL
ORDER BY workers.id DESC
