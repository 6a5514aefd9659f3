-- What each of these queues asks of its workers. A long time ahead costs no more: it says only which scheduled jobs count.
SELECT
    named.name AS queue, work.due, work.backlog_seconds, work.incoming, work.usual_seconds, work.long_running,
    work.is_paused, work.gated, work.gated_limit, work.gate
FROM unnest(%(queues)s::text[]) AS named (name)
CROSS JOIN LATERAL {schema}.queue_work(named.name, %(within)s::float8 * interval '1 second') AS work
