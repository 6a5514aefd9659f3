-- Figures of long ago in longer spans: a week is then read from hundreds of rows a queue and class, not from ten thousand.
-- A row moves from metrics to here, and here from shorter spans to longer ones; each figure is in one place. So workers
-- of the previous release go on: what they add to metrics is moved in its time.

CREATE TABLE {schema}.folded_metrics (
    at timestamptz NOT NULL,
    minutes smallint NOT NULL,
    queue text NOT NULL,
    job_class text NOT NULL,
    successful integer NOT NULL,
    errored integer NOT NULL,
    cancelled integer NOT NULL,
    deferred integer NOT NULL,
    lost integer NOT NULL,
    retried integer NOT NULL,
    waits integer[] NOT NULL,
    runs integer[] NOT NULL,
    PRIMARY KEY (at, minutes, queue, job_class)
);

COMMENT ON TABLE {schema}.folded_metrics IS 'Rows of metrics put together, once they are some hours old.';
COMMENT ON COLUMN {schema}.folded_metrics.at IS 'When the span begins in which the attempts ended.';
COMMENT ON COLUMN {schema}.folded_metrics.minutes IS 'How long the span is; it begins at a multiple of that.';
COMMENT ON COLUMN {schema}.folded_metrics.queue IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.job_class IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.successful IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.errored IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.cancelled IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.deferred IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.lost IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.retried IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.waits IS 'As in metrics.';
COMMENT ON COLUMN {schema}.folded_metrics.runs IS 'As in metrics.';

-- What is to be folded once more.
CREATE INDEX folded_metrics_fives ON {schema}.folded_metrics (at) WHERE minutes = 5;

CREATE VIEW {schema}.all_metrics AS
SELECT
    minute AS at, 1::smallint AS minutes, queue, job_class,
    successful, errored, cancelled, deferred, lost, retried, waits, runs
FROM {schema}.metrics
UNION ALL
SELECT at, minutes, queue, job_class, successful, errored, cancelled, deferred, lost, retried, waits, runs
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
