-- What operators need: failures in groups, figures by the minute, a record of who did what, and a way back.

-- Null for what did not fail, so that a success is no wider for them. Filled where the failure is reported: a group
-- is then found in an index, never by reading ten million tracebacks.
ALTER TABLE {schema}.results
    ADD COLUMN fingerprint text,
    ADD COLUMN frame text;

COMMENT ON COLUMN {schema}.results.fingerprint IS 'What makes failures alike: class, exception, place and message; null where none failed.';
COMMENT ON COLUMN {schema}.results.frame IS 'The last place in the job''s own code: file:line function.';

-- A group's failures by time, and the groups of a period by index alone. With every row's fingerprint still null, making
-- it reads the history once; workers that end jobs meanwhile wait, and record then.
CREATE INDEX results_failures ON {schema}.results (fingerprint, ended_at, id) INCLUDE (retried)
    WHERE fingerprint IS NOT NULL;


CREATE TABLE {schema}.metrics (
    minute timestamptz NOT NULL,
    queue text NOT NULL,
    job_class text NOT NULL,
    successful integer NOT NULL DEFAULT 0,
    errored integer NOT NULL DEFAULT 0,
    cancelled integer NOT NULL DEFAULT 0,
    deferred integer NOT NULL DEFAULT 0,
    lost integer NOT NULL DEFAULT 0,
    retried integer NOT NULL DEFAULT 0,
    waits integer[] NOT NULL,
    runs integer[] NOT NULL,
    PRIMARY KEY (minute, queue, job_class)
) WITH (
    -- The rows of this minute are updated every few seconds, in place while there is room on their page.
    fillfactor = 60
);

COMMENT ON TABLE {schema}.metrics IS 'What ended, by the minute, queue and class: what charts read instead of the history.';
COMMENT ON COLUMN {schema}.metrics.minute IS 'The minute in which the attempts ended.';
COMMENT ON COLUMN {schema}.metrics.queue IS 'The queue.';
COMMENT ON COLUMN {schema}.metrics.job_class IS 'The class.';
COMMENT ON COLUMN {schema}.metrics.successful IS 'Attempts that were successful.';
COMMENT ON COLUMN {schema}.metrics.errored IS 'Attempts that raised.';
COMMENT ON COLUMN {schema}.metrics.cancelled IS 'Attempts that were called off, begun or not.';
COMMENT ON COLUMN {schema}.metrics.deferred IS 'Attempts that asked to be put back.';
COMMENT ON COLUMN {schema}.metrics.lost IS 'Attempts whose process or worker died.';
COMMENT ON COLUMN {schema}.metrics.retried IS 'How many of all these were followed by another attempt; the rest are jobs that ended.';
COMMENT ON COLUMN {schema}.metrics.waits IS 'Histogram of the time from due to begun (bounds in jobq/histograms.py); of attempts that began.';
COMMENT ON COLUMN {schema}.metrics.runs IS 'Histogram of the time from begun to ended; without those lost with their worker.';


CREATE TABLE {schema}.levels (
    minute timestamptz NOT NULL,
    queue text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    unfinished bigint,
    PRIMARY KEY (minute, queue)
);

COMMENT ON TABLE {schema}.levels IS 'How many unfinished jobs a queue held, once a minute: with what ended in between, this tells what came in.';
COMMENT ON COLUMN {schema}.levels.minute IS 'The minute.';
COMMENT ON COLUMN {schema}.levels.queue IS 'The queue.';
COMMENT ON COLUMN {schema}.levels.taken_at IS 'When it was counted.';
COMMENT ON COLUMN {schema}.levels.unfinished IS 'Scheduled, pending and running jobs; null where they were too many to count.';

ALTER TABLE {schema}.workers ADD COLUMN metrics_sent bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN {schema}.workers.metrics_sent IS 'The number of the last figures added to metrics: what is sent twice counts once.';


CREATE TABLE {schema}.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT statement_timestamp(),
    ended_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    who text NOT NULL,
    database_user text NOT NULL DEFAULT session_user,
    verb text NOT NULL,
    selection text,
    affected integer NOT NULL DEFAULT 0,
    ids bigint[] NOT NULL DEFAULT '{}',
    names text[] NOT NULL DEFAULT '{}',
    undoes bigint,
    undone_at timestamptz
);

COMMENT ON TABLE {schema}.audit IS 'Who did what: one row an act, written in the transactions of the act itself.';
COMMENT ON COLUMN {schema}.audit.id IS 'The act.';
COMMENT ON COLUMN {schema}.audit.at IS 'When it began.';
COMMENT ON COLUMN {schema}.audit.ended_at IS 'When its last part was done.';
COMMENT ON COLUMN {schema}.audit.who IS 'The person, as user@host.';
COMMENT ON COLUMN {schema}.audit.database_user IS 'The role that the database knows.';
COMMENT ON COLUMN {schema}.audit.verb IS 'What was done.';
COMMENT ON COLUMN {schema}.audit.selection IS 'The filter that chose the jobs; null where ids were given.';
COMMENT ON COLUMN {schema}.audit.affected IS 'To how many jobs, or queues, it was done.';
COMMENT ON COLUMN {schema}.audit.ids IS 'The first of the jobs.';
COMMENT ON COLUMN {schema}.audit.names IS 'What it was done to, where that is no job: queues, schedules.';
COMMENT ON COLUMN {schema}.audit.undoes IS 'The act that this one undid.';
COMMENT ON COLUMN {schema}.audit.undone_at IS 'When it was undone.';

CREATE INDEX audit_at ON {schema}.audit (at);


CREATE TABLE {schema}.kept (
    act bigint NOT NULL,
    id bigint NOT NULL,
    attempt integer NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    row jsonb
);

COMMENT ON TABLE {schema}.kept IS 'What acts took away, for as long as they can be undone and a while longer.';
COMMENT ON COLUMN {schema}.kept.act IS 'The row of audit.';
COMMENT ON COLUMN {schema}.kept.id IS 'The job.';
COMMENT ON COLUMN {schema}.kept.attempt IS 'The attempt at which the act found it.';
COMMENT ON COLUMN {schema}.kept.kept_at IS 'Since when it is out of sight.';
COMMENT ON COLUMN {schema}.kept.row IS 'The row as it was, of jobs (a cancelled job) or results (a purged one); null where nothing was taken away.';

CREATE INDEX kept_act ON {schema}.kept (act, id);
CREATE INDEX kept_at ON {schema}.kept (kept_at);
