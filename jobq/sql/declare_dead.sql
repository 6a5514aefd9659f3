-- Declares workers dead before their time, at an operator's word: any live worker then takes over their jobs. Only those
-- that miss their heartbeats; or whose last one lies in the future, since the database's clock was put back. One that lives all the same begins anew. Once its jobs have been
-- taken over, the fence refuses its late reports; until then they count, for no other attempt has begun.
UPDATE {schema}.workers
SET stopped_at = statement_timestamp(), stop_reason = 'silent', waiting = false
WHERE id = ANY (%(ids)s::bigint[])
    AND stopped_at IS NULL
    AND heartbeat_at NOT BETWEEN statement_timestamp() - %(silent)s::float8 * interval '1 second'
    AND statement_timestamp() + %(silent)s::float8 * interval '1 second'
RETURNING id
