-- For each queue, how many processes end what it holds within ten minutes.
SELECT name, {schema}.wanted_processes(name) FROM unnest(%(queues)s::text[]) AS given (name)
