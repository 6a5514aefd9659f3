-- Notes what needs somebody now. What is not seen any more for a while is over. One that is back before that was told goes
-- on as if it had not gone; one that is over before it was told at all is not told.
WITH seen AS (
    INSERT INTO {schema}.alerts (key, kind, text, place)
    SELECT key, kind, text, place
    FROM unnest(%(keys)s::text[], %(kinds)s::text[], %(texts)s::text[], %(places)s::text[])
        AS given (key, kind, text, place)
    ORDER BY key
    ON CONFLICT (key) DO UPDATE
    SET seen_at = statement_timestamp(), over_at = NULL, text = excluded.text, place = excluded.place
    RETURNING key
), dropped AS (
    DELETE FROM {schema}.alerts
    WHERE told_at IS NULL
        AND key <> ALL (%(keys)s::text[])
        AND seen_at < statement_timestamp() - %(quiet)s::float8 * interval '1 second'
)
UPDATE {schema}.alerts
SET over_at = statement_timestamp()
WHERE over_at IS NULL
    AND told_at IS NOT NULL
    AND key <> ALL (%(keys)s::text[])
    AND seen_at < statement_timestamp() - %(quiet)s::float8 * interval '1 second'
