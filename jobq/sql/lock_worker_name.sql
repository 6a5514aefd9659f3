-- Until the end of the transaction, nobody else takes this name: registers a worker with the host and pid, notes a deploy. In a statement of its own: the
-- next one then sees whoever was first.
SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 0))
