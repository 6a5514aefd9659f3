-- The acts of the last minute that were not undone, the latest first, each with how much of it could be taken back now.
-- The conditions are those of the statements that undo. Of the jobs of an act the first thousand are looked at. An act that
-- took long began before the minute: an hour is looked through, by the index on the time.
SELECT
    audit.id, audit.verb,
    CASE audit.verb
        WHEN 'retry' THEN (
            SELECT count(*)
            FROM (SELECT * FROM {schema}.kept WHERE act = audit.id LIMIT %(looked_at)s) AS kept
            JOIN {schema}.jobs ON jobs.id = kept.id AND jobs.attempt = kept.attempt
            WHERE jobs.worker_id IS NULL AND jobs.replaced_at IS NULL
        )
        WHEN 'cancel' THEN (
            SELECT count(*)
            FROM (SELECT * FROM {schema}.kept WHERE act = audit.id LIMIT %(looked_at)s) AS kept
            JOIN {schema}.results ON results.id = kept.id AND results.attempt = least(kept.attempt, 2147483646) + 1
            WHERE results.outcome = 'cancelled' AND NOT results.retried
        )
        WHEN 'purge' THEN (
            SELECT count(*) FROM (SELECT FROM {schema}.kept WHERE act = audit.id LIMIT %(looked_at)s) AS kept
        )
        WHEN 'adopt' THEN (
            SELECT count(*)
            FROM (SELECT * FROM {schema}.kept WHERE act = audit.id LIMIT %(looked_at)s) AS kept
            JOIN {schema}.jobs ON jobs.id = kept.id AND jobs.attempt = kept.attempt
            WHERE jobs.worker_id IS NULL AND jobs.gate IS NOT NULL
        )
        WHEN 'pause' THEN (
            SELECT count(*) FROM {schema}.queues WHERE name = ANY (audit.names) AND paused_at <= audit.ended_at
        )
        WHEN 'resume' THEN (
            SELECT count(*)
            FROM {schema}.kept
            JOIN {schema}.queues ON queues.name = kept.row ->> 'name'
            WHERE kept.act = audit.id AND queues.paused_at IS NULL
        )
        WHEN 'pause gate' THEN {set_on_gate}
        WHEN 'resume gate' THEN {set_on_gate}
        WHEN 'limit gate' THEN {set_on_gate}
        WHEN 'mute' THEN (
            SELECT count(*) FROM {schema}.mutes WHERE fingerprint = ANY (audit.names) AND muted_at <= audit.ended_at
        )
        WHEN 'retry on build' THEN (SELECT count(*) FROM {schema}.waiting_retries WHERE act = audit.id)
        WHEN 'pause schedule' THEN (
            SELECT count(*) FROM {schema}.schedules WHERE name = ANY (audit.names) AND paused_at <= audit.ended_at
        )
    END AS remaining
FROM {schema}.audit
WHERE audit.at >= statement_timestamp() - interval '1 hour'
    AND audit.ended_at >= statement_timestamp() - %(seconds)s * interval '1 second'
    AND audit.undone_at IS NULL
    AND audit.verb = ANY (%(verbs)s::text[])
    AND (%(who)s::text IS NULL OR audit.who = %(who)s)
ORDER BY audit.at DESC
LIMIT 20
