-- Histograms with finer buckets, kept as one number each, and the longest wait and run beside them. The coarse histograms
-- of before cannot be made finer: what they told of waits and runs is dropped, and counts by outcome stay.

DROP VIEW {schema}.all_metrics;

ALTER TABLE {schema}.metrics
    DROP COLUMN waits,
    DROP COLUMN runs,
    ADD COLUMN waits numeric NOT NULL DEFAULT 0,
    ADD COLUMN runs numeric NOT NULL DEFAULT 0,
    ADD COLUMN longest_wait float8,
    ADD COLUMN longest_run float8;

ALTER TABLE {schema}.folded_metrics
    DROP COLUMN waits,
    DROP COLUMN runs,
    ADD COLUMN waits numeric NOT NULL DEFAULT 0,
    ADD COLUMN runs numeric NOT NULL DEFAULT 0,
    ADD COLUMN longest_wait float8,
    ADD COLUMN longest_run float8;

COMMENT ON COLUMN {schema}.metrics.waits IS 'Histogram of the time from due to begun, of attempts that began: one number, twelve digits for each bucket, the first bucket last (bounds in jobq/histograms.py). The sum of two is the histogram of both.';
COMMENT ON COLUMN {schema}.metrics.runs IS 'Histogram of the time from begun to ended, without attempts that were lost with their worker; as waits.';
COMMENT ON COLUMN {schema}.metrics.longest_wait IS 'Seconds of the longest wait; null without any.';
COMMENT ON COLUMN {schema}.metrics.longest_run IS 'Seconds of the longest run; null without any.';
COMMENT ON COLUMN {schema}.folded_metrics.waits IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.runs IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.longest_wait IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.longest_run IS 'As in metrics.';

CREATE VIEW {schema}.all_metrics AS
SELECT
    minute AS at, 1::smallint AS minutes, queue, job_class,
    successful, errored, cancelled, deferred, lost, retried, waits, runs, longest_wait, longest_run
FROM {schema}.metrics
UNION ALL
SELECT
    at, minutes, queue, job_class,
    successful, errored, cancelled, deferred, lost, retried, waits, runs, longest_wait, longest_run
FROM {schema}.folded_metrics;

COMMENT ON VIEW {schema}.all_metrics IS 'All figures, each in the one row that holds it now.';
COMMENT ON COLUMN {schema}.all_metrics.at IS 'When the span begins.';
COMMENT ON COLUMN {schema}.all_metrics.minutes IS 'How long it is.';
COMMENT ON COLUMN {schema}.all_metrics.queue IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.job_class IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.successful IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.errored IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.cancelled IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.deferred IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.lost IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.retried IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.waits IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.runs IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.longest_wait IS 'As in metrics.';
COMMENT ON COLUMN {schema}.all_metrics.longest_run IS 'As in metrics.';


-- Whether an attempt that was not successful ended its job: known from the index, so that jobs are counted as cheaply as
-- attempts.
DROP INDEX {schema}.results_unsuccessful;
CREATE INDEX results_unsuccessful ON {schema}.results (outcome, ended_at, id) INCLUDE (retried)
    WHERE outcome <> 'successful';
