-- Claims up to `most` jobs, of each queue given at most `share`, in the order of service: priority, then age; queues
-- take turns within a priority, the one whose turn was longest ago first.
-- SKIP LOCKED lets any number of workers claim side by side. Each queue is entered at a position
-- of the index jobs_due, so that a claim need not wade through dead entries at its front. Jobs that run are still in that
-- index: the claim passes over them, and changes no column that an index mentions. So its new versions stay on their pages.
-- The jobs that are claimed together are noted in one row of `claims`, by which they are found while they run. The claims
-- that are given are over, and their rows go.
-- A queue that filled its share may hold more at its lowest priority claimed; jobs of other queues
-- below that priority are let go again, so that the order of priority holds across queues.
-- A count of attempts that somebody set to the largest integer stays there: an overflow would stop every claim.
-- Of arguments only small ones come with the claim: a row by somebody else's hand may pass a gigabyte as text, and would
-- make the claim fail for all. Up to 2,000 bytes, not compressed, they are less than 22 MB as text (83 numbers of 131,072
-- digits), and what passes 64 kB of that is left out. The smallest, with two such numbers at most, are not measured. The
-- others are empty here, and load.sql reads them. A trace that is too large for any header is dropped.
-- A worker that was declared dead claims nothing. What has expired is left to expire.sql.
WITH alive AS MATERIALIZED (
    SELECT id FROM {schema}.workers WHERE id = %(worker_id)s AND stopped_at IS NULL
), found AS MATERIALIZED (
    SELECT
        front.id, front.priority, worked.queue, worked.last_turn,
        row_number() OVER (PARTITION BY worked.queue, front.priority ORDER BY front.id) AS turn
    FROM unnest(%(queues)s::text[], %(from_priorities)s::integer[], %(from_ids)s::bigint[], %(last_turns)s::bigint[])
        AS worked (queue, from_priority, from_id, last_turn)
    CROSS JOIN LATERAL (
        SELECT id, priority
        FROM {schema}.jobs
        WHERE {pending}
            AND queue = worked.queue
            AND (-priority, id) >= (-worked.from_priority, worked.from_id)
            AND job_class = ANY (%(classes)s::text[])
            AND (expires_at IS NULL OR expires_at > statement_timestamp())
        ORDER BY -priority, id
        LIMIT %(share)s
        FOR UPDATE SKIP LOCKED
    ) AS front
    WHERE EXISTS (SELECT FROM alive)
        AND NOT EXISTS (
            SELECT FROM {schema}.queues WHERE name = worked.queue AND paused_at IS NOT NULL
        )
), filled AS (
    SELECT min(priority) AS lowest
    FROM found
    GROUP BY queue
    HAVING count(*) = %(share)s
), chosen AS (
    SELECT id
    FROM found
    WHERE priority >= coalesce((SELECT max(lowest) FROM filled), priority)
    ORDER BY priority DESC, turn, last_turn, id
    LIMIT %(most)s
), {take_chosen}
