DELETE FROM {schema}.mutes
WHERE fingerprint = ANY (%(groups)s::text[]) AND muted_until > statement_timestamp()
RETURNING fingerprint
