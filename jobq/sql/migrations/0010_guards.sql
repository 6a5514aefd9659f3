-- What no statement of jobq writes, and what a row written by hand must not hold either: a time that cannot be reckoned
-- with (infinite, or in a year that programs cannot name), a time to run that is none, a number that means something
-- else to a worker. One such row made every claim, every promotion or every rescue fail that met it.
-- The rows that are there are mended first: a check is asked again whenever a row changes, so one that breaks it could
-- neither be claimed nor ended. That takes no lock but those of the rows; NOT VALID spares reading the table under one.
-- The years are 1970 to 9998 in whatever zone, and so a day more at both ends.

UPDATE {schema}.jobs SET id = DEFAULT WHERE id <= 0;

UPDATE {schema}.jobs
SET run_at = greatest(least(run_at, '9999-01-02Z'), '1969-12-31Z'),
    enqueued_at = greatest(least(enqueued_at, '9999-01-02Z'), '1969-12-31Z'),
    started_at = CASE WHEN started_at IS NOT NULL THEN greatest(least(started_at, '9999-01-02Z'), '1969-12-31Z') END,
    cancel_requested_at = CASE
        WHEN cancel_requested_at IS NOT NULL THEN greatest(least(cancel_requested_at, '9999-01-02Z'), '1969-12-31Z')
    END,
    expires_at = CASE WHEN expires_at IS NOT NULL THEN greatest(least(expires_at, '9999-01-02Z'), '1969-12-31Z') END,
    timeout = CASE WHEN timeout > 0 AND timeout < 'infinity' THEN timeout END
WHERE run_at NOT BETWEEN '1969-12-31Z' AND '9999-01-02Z'
    OR enqueued_at NOT BETWEEN '1969-12-31Z' AND '9999-01-02Z'
    OR started_at NOT BETWEEN '1969-12-31Z' AND '9999-01-02Z'
    OR cancel_requested_at NOT BETWEEN '1969-12-31Z' AND '9999-01-02Z'
    OR expires_at NOT BETWEEN '1969-12-31Z' AND '9999-01-02Z'
    OR NOT (timeout > 0 AND timeout < 'infinity');

-- A check that comes to null, as of a column without a value, is passed.
ALTER TABLE {schema}.jobs
    ADD CONSTRAINT jobs_id_is_positive CHECK (id > 0) NOT VALID,
    ADD CONSTRAINT jobs_times_are_of_the_years_1970_to_9998 CHECK (
        run_at BETWEEN '1969-12-31Z' AND '9999-01-02Z'
        AND enqueued_at BETWEEN '1969-12-31Z' AND '9999-01-02Z'
        AND started_at BETWEEN '1969-12-31Z' AND '9999-01-02Z'
        AND cancel_requested_at BETWEEN '1969-12-31Z' AND '9999-01-02Z'
        AND expires_at BETWEEN '1969-12-31Z' AND '9999-01-02Z'
    ) NOT VALID,
    ADD CONSTRAINT jobs_timeout_is_above_zero CHECK (timeout > 0 AND timeout < 'infinity') NOT VALID;
