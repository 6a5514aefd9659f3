-- Mutes groups of failures that are in the history, or mutes them anew; what is over goes with it.
WITH forgotten AS (
    DELETE FROM {schema}.mutes
    WHERE muted_until < statement_timestamp() AND fingerprint <> ALL (%(groups)s::text[])
)
INSERT INTO {schema}.mutes (fingerprint, muted_until, muted_by)
SELECT named.fingerprint, statement_timestamp() + %(seconds)s::float8 * interval '1 second', %(muted_by)s
FROM unnest(%(groups)s::text[]) AS named (fingerprint)
WHERE EXISTS (SELECT FROM {schema}.results WHERE results.fingerprint = named.fingerprint)
ORDER BY named.fingerprint
ON CONFLICT (fingerprint) DO UPDATE
SET muted_at = excluded.muted_at, muted_until = excluded.muted_until, muted_by = excluded.muted_by
RETURNING fingerprint
