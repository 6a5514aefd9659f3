-- Removes lanes on which nothing is set, and whose rates are not used up any more: their rows say nothing. A lane whose gate
-- is being claimed through is left alone.
DELETE FROM {schema}.lanes
WHERE (gate, lane) IN (
    SELECT gate, lane
    FROM {schema}.lanes
    WHERE set_max_running IS NULL
        AND paused_at IS NULL
        AND coalesce(spent_to, '-infinity') < statement_timestamp() - interval '1 minute'
        AND EXISTS (SELECT FROM {schema}.gates WHERE name = lanes.gate FOR NO KEY UPDATE SKIP LOCKED)
    LIMIT 10000
)
