-- Ids for jobs that are about to be added, ascending: first come stays first served.
SELECT nextval(pg_get_serial_sequence(%(table)s, 'id')::regclass) FROM generate_series(1, %(count)s)
