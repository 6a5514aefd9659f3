-- Until the end of the transaction, nobody else registers a worker with this host and pid. In a statement of its own: the
-- next one then sees whoever was first.
SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 0))
