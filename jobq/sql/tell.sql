-- Tells every listening worker that there is something to do in these queues, waiting or not.
SELECT pg_notify(%(channel)s::text, queue)
FROM unnest(%(queues)s::text[]) AS queue
WHERE pg_notification_queue_usage() < 0.9
