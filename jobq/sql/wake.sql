-- Tells workers that wait of queues into which jobs were put, as enqueue.sql does.
SELECT pg_notify(%(channel)s::text, queue)
FROM unnest(%(queues)s::text[]) AS queue
WHERE EXISTS (SELECT FROM {schema}.workers WHERE waiting) AND pg_notification_queue_usage() < 0.9
