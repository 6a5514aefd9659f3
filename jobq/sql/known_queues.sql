-- The queues that classes of live workers name, and those of the last hour.
SELECT DISTINCT coalesce(class -> 'options' ->> 'queue', 'default') AS name
FROM {schema}.workers
CROSS JOIN LATERAL jsonb_array_elements(workers.classes) AS class
WHERE workers.stopped_at IS NULL
UNION
SELECT queue FROM {schema}.levels WHERE minute >= statement_timestamp() - interval '1 hour'
