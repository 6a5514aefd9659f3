INSERT INTO {schema}.workers (host, pid, version, processes, queues, classes)
VALUES (%(host)s, %(pid)s, %(version)s, %(processes)s, %(queues)s, %(classes)s::jsonb)
RETURNING id
