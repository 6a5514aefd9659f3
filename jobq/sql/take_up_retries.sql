-- Takes up the retries whose build lives, each for one worker alone. One that was taken up and is still there after two
-- minutes was not done to its end: its worker died. It acts only on jobs that had ended when it was taken up first.
UPDATE {schema}.waiting_retries
SET begun_at = statement_timestamp(),
    selection = CASE
        WHEN begun_at IS NULL THEN concat_ws(
            ' ', nullif(selection, ''), 'until:' || to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        )
        ELSE selection
    END
WHERE act IN (
    SELECT act
    FROM {schema}.waiting_retries
    WHERE (begun_at IS NULL OR begun_at < statement_timestamp() - interval '2 minutes')
        AND {its_build_lives}
    ORDER BY act
    FOR UPDATE SKIP LOCKED
)
RETURNING act, left_by, selection
