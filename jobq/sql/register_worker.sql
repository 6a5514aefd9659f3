-- Where another worker with this host and pid lives, the number of each belongs to its name from now on.
WITH namesake AS (
    UPDATE {schema}.workers
    SET has_namesake = true
    WHERE host = %(host)s AND pid = %(pid)s AND stopped_at IS NULL
    RETURNING id
)
INSERT INTO {schema}.workers (host, pid, version, processes, queues, classes, class_names, build, has_namesake)
VALUES (
    %(host)s, %(pid)s, %(version)s, %(processes)s, %(queues)s, %(classes)s::jsonb, %(class_names)s::text[], %(build)s,
    EXISTS (SELECT FROM namesake)
)
RETURNING id
