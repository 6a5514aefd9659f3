-- The time by which the jobs of a COPY are due, and were enqueued: the database's, as everywhere.
SELECT statement_timestamp()
