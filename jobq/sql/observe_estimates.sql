-- What PostgreSQL's statistics say, for what is too much to count: rows of the partial indexes and of the history.
SELECT
    (SELECT reltuples FROM pg_class WHERE oid = to_regclass(%(due_index)s))::bigint AS pending,
    (SELECT reltuples FROM pg_class WHERE oid = to_regclass(%(scheduled_index)s))::bigint AS scheduled,
    (
        SELECT coalesce(sum(greatest(reltuples, 0)), 0)
        FROM pg_class
        JOIN pg_inherits ON inhrelid = pg_class.oid
        WHERE inhparent = to_regclass(%(results)s)
    )::bigint AS results
