-- Tells workers that wait of queues into which jobs were put, as enqueue.sql does.
SELECT pg_notify(%(channel)s::text, queue)
FROM unnest(%(queues)s::text[]) AS queue
WHERE {somebody_waits}
