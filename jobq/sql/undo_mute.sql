-- Unmutes what an act muted; what was muted again since stays so.
DELETE FROM {schema}.mutes
USING {schema}.audit
WHERE audit.id = %(act)s
    AND mutes.fingerprint = ANY (audit.names)
    AND mutes.muted_at <= audit.ended_at
RETURNING mutes.fingerprint
