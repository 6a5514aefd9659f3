-- Claims up to `most` jobs through one gate. Only in a transaction in which gate_enter.sql has locked the gate before, and
-- which is READ COMMITTED: so the snapshot here is younger than the lock, and sees every claim that was made under it. A
-- place is made here alone; it is the running attempt itself, and ends with it. So what is counted is what runs.
--
-- What runs (`held`) is read from the lowest place that ran when this worker counted last: places rise in the order of
-- the claims, so no dead entries of older ones are waded through. `resting` jobs keep a strict lane between attempts.
-- What waits is walked lane by lane, one index step each, until there is a lane for each place that is free: at first the
-- lanes of the highest priority, behind the one that was served last (0) and then before it (1), then lower priorities from
-- where the last walk ended (2). Lanes that are full, paused, or ahead of their rate are passed over.
-- Within a priority each lane gets its first place before any gets its second. A lane that is met in two priorities or
-- queues has its limit once.
-- The rate is one time (GCRA): starts so far use it up to `spent_to`. One that lies further ahead than a start can put it
-- is from a clock that was put back since, and is cut to what makes the next start wait no longer than two windows.
WITH RECURSIVE alive AS MATERIALIZED (
    SELECT id FROM {schema}.workers WHERE id = %(worker_id)s AND stopped_at IS NULL
), gate AS MATERIALIZED (
    SELECT
        name, is_strict, lane_max_running, rate_burst, lane_rate_burst, emission, lane_emission, lane_rate_seconds,
        coalesce(
            CASE WHEN set_until IS NULL OR set_until > statement_timestamp() THEN set_max_running END, max_running
        ) AS max_running,
        least(
            greatest(spent_to, statement_timestamp()),
            statement_timestamp() + rate_burst * emission + rate_seconds * interval '1 second'
        ) AS spent_to
    FROM {schema}.gates
    CROSS JOIN LATERAL (
        SELECT
            ceil(rate_seconds * 1000000 / (rate - rate_burst + 1)) * interval '1 microsecond' AS emission,
            ceil(lane_rate_seconds * 1000000 / (lane_rate - lane_rate_burst + 1)) * interval '1 microsecond' AS lane_emission
    ) AS pace
    WHERE name = %(gate)s::text
        AND (paused_at IS NULL OR paused_until <= statement_timestamp())
        AND EXISTS (SELECT FROM alive)
), held AS MATERIALIZED (
    SELECT
        lane::text, min(place) AS lowest, count(*) FILTER (WHERE worker_id IS NOT NULL) AS running,
        count(*) FILTER (WHERE worker_id IS NULL) AS resting
    FROM {schema}.jobs
    WHERE gate = %(gate)s::text AND place >= %(min_place)s::bigint
    GROUP BY lane
), room AS MATERIALIZED (
    SELECT
        greatest(0, least(by_limit, by_rate))::bigint AS gate_jobs,
        greatest(0, least(by_limit, by_rate, %(most)s::bigint))::bigint AS jobs,
        by_limit IS NOT NULL AND by_limit <= coalesce(by_rate, by_limit) AS is_limited
    FROM (
        SELECT
            max_running - (SELECT coalesce(sum(running), 0) FROM held) AS by_limit,
            div(
                extract(epoch FROM statement_timestamp() + rate_burst * emission - spent_to),
                extract(epoch FROM emission)
            ) AS by_rate
        FROM gate
    ) AS bound
), position AS MATERIALIZED (
    SELECT given.*, front.rank AS top, coalesce(given.turn_lane, '') AS from_lane
    FROM unnest(
        %(queues)s::text[], %(turn_lanes)s::text[], %(scout_ranks)s::integer[], %(scout_lanes)s::text[]
    ) WITH ORDINALITY AS given (queue, turn_lane, scout_rank, scout_lane, number)
    CROSS JOIN LATERAL (
        SELECT -priority AS rank
        FROM {schema}.jobs
        WHERE is_due IS NULL AND place IS NULL AND gate = %(gate)s::text AND queue = given.queue
        ORDER BY place, queue, -priority
        LIMIT 1
    ) AS front
    WHERE (SELECT jobs FROM room) > 0
        AND NOT EXISTS (SELECT FROM {schema}.queues WHERE name = given.queue AND paused_at IS NOT NULL)
), walk AS (
    SELECT number, queue, top, from_lane, scout_rank, scout_lane, 0 AS phase, top AS rank, from_lane AS lane, 0 AS step,
        0 AS open, NULL::bigint AS lane_jobs, NULL::timestamptz AS spent_to
    FROM position
    UNION ALL
    SELECT
        walk.number, walk.queue, walk.top, walk.from_lane, walk.scout_rank, walk.scout_lane, following.phase, following.rank,
        following.lane, walk.step + 1, walk.open + (lane_room.jobs > 0)::integer, lane_room.jobs, lane_room.spent_to
    FROM walk
    CROSS JOIN LATERAL (
        (
            SELECT 0 AS phase, -priority AS rank, lane::text
            FROM {schema}.jobs
            WHERE walk.phase = 0 AND is_due IS NULL AND place IS NULL AND gate = %(gate)s::text
                AND queue = walk.queue AND -priority = walk.top AND lane > walk.lane
            ORDER BY place, queue, -priority, lane
            LIMIT 1
        )
        UNION ALL
        (
            SELECT 1, -priority, lane::text
            FROM {schema}.jobs
            WHERE walk.phase = 0 AND is_due IS NULL AND place IS NULL AND gate = %(gate)s::text
                AND queue = walk.queue AND -priority = walk.top AND lane <= walk.from_lane
            ORDER BY place, queue, -priority, lane
            LIMIT 1
        )
        UNION ALL
        (
            SELECT 1, -priority, lane::text
            FROM {schema}.jobs
            WHERE walk.phase = 1 AND is_due IS NULL AND place IS NULL AND gate = %(gate)s::text
                AND queue = walk.queue AND -priority = walk.top AND lane > walk.lane AND lane <= walk.from_lane
            ORDER BY place, queue, -priority, lane
            LIMIT 1
        )
        UNION ALL
        (
            SELECT 2, -priority, lane::text
            FROM {schema}.jobs
            WHERE walk.phase < 2 AND walk.scout_rank > walk.top
                AND is_due IS NULL AND place IS NULL AND gate = %(gate)s::text AND queue = walk.queue
                AND (-priority, lane, id) > (walk.scout_rank, walk.scout_lane, 9223372036854775807)
            ORDER BY place, queue, -priority, lane
            LIMIT 1
        )
        UNION ALL
        (
            SELECT 2, -priority, lane::text
            FROM {schema}.jobs
            WHERE walk.phase < 2 AND is_due IS NULL AND place IS NULL AND gate = %(gate)s::text AND queue = walk.queue
                AND coalesce(walk.scout_rank, walk.top) <= walk.top AND -priority > walk.top
            ORDER BY place, queue, -priority, lane
            LIMIT 1
        )
        UNION ALL
        (
            SELECT 2, -priority, lane::text
            FROM {schema}.jobs
            WHERE walk.phase = 2 AND is_due IS NULL AND place IS NULL AND gate = %(gate)s::text AND queue = walk.queue
                AND (-priority, lane, id) > (walk.rank, walk.lane, 9223372036854775807)
            ORDER BY place, queue, -priority, lane
            LIMIT 1
        )
        LIMIT 1
    ) AS following
    CROSS JOIN LATERAL (
        {lane_room}
    ) AS lane_room
    WHERE walk.step < 300 AND walk.open < (SELECT jobs FROM room)
), visited AS MATERIALIZED (
    SELECT *, count(*) FILTER (WHERE lane_jobs > 0) OVER () AS open_lanes FROM walk WHERE step > 0
), waiting AS MATERIALIZED (
    SELECT front.id, visited.lane, visited.rank, visited.number, visited.step, visited.lane_jobs, visited.spent_to
    FROM visited
    CROSS JOIN LATERAL (
        SELECT id
        FROM {schema}.jobs
        WHERE is_due IS NULL AND place IS NULL AND gate = %(gate)s::text AND queue = visited.queue
            AND -priority = visited.rank AND lane = visited.lane
            AND worker_id IS NULL
            AND job_class = ANY (%(classes)s::text[])
            AND (expires_at IS NULL OR expires_at > statement_timestamp())
        ORDER BY place, queue, -priority, lane, id
        LIMIT least(visited.lane_jobs, ceil((SELECT jobs FROM room)::float8 / visited.open_lanes)::bigint)
        FOR UPDATE SKIP LOCKED
    ) AS front
    WHERE visited.lane_jobs > 0
), resumed AS MATERIALIZED (
    SELECT jobs.id, jobs.lane::text, -jobs.priority AS rank, lane_room.jobs AS lane_jobs, lane_room.spent_to
    FROM {schema}.jobs
    CROSS JOIN LATERAL (SELECT jobs.lane::text AS lane, 3 AS phase) AS following
    CROSS JOIN LATERAL (
        {lane_room}
    ) AS lane_room
    WHERE jobs.gate = %(gate)s::text AND jobs.place >= %(min_place)s::bigint
        AND jobs.worker_id IS NULL AND jobs.is_due IS NULL
        AND jobs.queue = ANY (%(queues)s::text[])
        AND NOT EXISTS (SELECT FROM {schema}.queues WHERE name = jobs.queue AND paused_at IS NOT NULL)
        AND jobs.job_class = ANY (%(classes)s::text[])
        AND (jobs.expires_at IS NULL OR jobs.expires_at > statement_timestamp())
        AND lane_room.jobs > 0
        AND EXISTS (SELECT FROM held WHERE resting > 0)
        AND (SELECT room.jobs FROM room) > 0
    ORDER BY jobs.place
    LIMIT (SELECT room.jobs FROM room)
    FOR UPDATE OF jobs SKIP LOCKED
), chosen AS MATERIALIZED (
    SELECT id, lane, number, step, spent_to
    FROM (
        SELECT *, row_number() OVER (PARTITION BY lane ORDER BY rank, step, id) AS nth
        FROM (
            SELECT id, lane, rank, number, step, lane_jobs, spent_to FROM waiting
            UNION ALL
            SELECT id, lane, rank, NULL, 0, lane_jobs, spent_to FROM resumed
        ) AS found
    ) AS ranked
    WHERE nth <= lane_jobs
    ORDER BY rank, nth, step, number, id
    LIMIT (SELECT jobs FROM room)
), {noted}, claimed AS (
    UPDATE {schema}.jobs
    SET attempt = least(attempt, 2147483646) + 1,
        worker_id = %(worker_id)s,
        started_at = statement_timestamp(),
        place = nextval(%(places)s::text::regclass)
    FROM chosen
    WHERE jobs.id = chosen.id
    RETURNING
    {assignment}
), spent AS (
    UPDATE {schema}.gates
    SET spent_to = coalesce(gate.spent_to, statement_timestamp()) + started.jobs * gate.emission
    FROM gate
    CROSS JOIN (SELECT count(*) AS jobs FROM chosen) AS started
    WHERE gates.name = gate.name AND gate.emission IS NOT NULL AND started.jobs > 0
    RETURNING gates.spent_to
), spent_by_lanes AS (
    INSERT INTO {schema}.lanes AS kept (gate, lane, spent_to)
    SELECT
        gate.name, chosen.lane, coalesce(min(chosen.spent_to), statement_timestamp()) + count(*) * gate.lane_emission
    FROM chosen
    CROSS JOIN gate
    WHERE gate.lane_emission IS NOT NULL
    GROUP BY gate.name, chosen.lane, gate.lane_emission
    ON CONFLICT (gate, lane) DO UPDATE SET spent_to = excluded.spent_to
), info AS (
    SELECT
        room.gate_jobs, room.is_limited,
        (SELECT min(lowest) FROM held) AS lowest,
        coalesce((SELECT max(step) FROM walk), 0) >= 300 AS is_cut,
        coalesce((SELECT max(open) FROM walk), 0) AS open_lanes,
        extract(epoch FROM least(
            CASE WHEN NOT room.is_limited THEN
                coalesce((SELECT spent_to FROM spent), gate.spent_to) - (gate.rate_burst - 1) * gate.emission
            END,
            (
                SELECT min(visited.spent_to) - (gate.lane_rate_burst - 1) * gate.lane_emission
                FROM visited
                WHERE visited.lane_jobs = 0 AND visited.spent_to > statement_timestamp()
            )
        ) - statement_timestamp())::float8 AS next_start_seconds,
        (
            SELECT json_agg(json_build_array(ended.queue, ended.turn_lane, ended.scout_rank, ended.scout_lane))
            FROM (
                SELECT
                    position.queue,
                    coalesce(
                        (
                            SELECT visited.lane
                            FROM visited
                            WHERE visited.number = position.number AND phase < 2
                                AND step <= coalesce(
                                    (SELECT max(step) FROM chosen WHERE chosen.number = position.number), visited.step
                                )
                            ORDER BY step DESC
                            LIMIT 1
                        ),
                        position.from_lane
                    ) AS turn_lane,
                    last.rank AS scout_rank, last.lane AS scout_lane
                FROM position
                LEFT JOIN LATERAL (
                    SELECT rank, lane FROM visited WHERE visited.number = position.number AND phase = 2 AND step >= 300
                    ORDER BY step DESC LIMIT 1
                ) AS last ON true
            ) AS ended
        )::text AS positions
    FROM room
    CROSS JOIN gate
)
SELECT info.*, claimed.*
FROM info
LEFT JOIN claimed ON true
