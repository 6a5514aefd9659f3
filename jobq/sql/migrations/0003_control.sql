-- Control of running jobs: who asked for a job's end, how long it may run, until when it may start, how far it is;
-- what each attempt used; hooks that are owed for attempts that could not see their own end; live stacks.
-- Columns are added without a check: a check would read the whole table under its lock.

ALTER TABLE {schema}.jobs
    ADD COLUMN cancel_requested_by text,
    ADD COLUMN timeout real,
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN has_abort_hook boolean NOT NULL DEFAULT false,
    ADD COLUMN progress jsonb;

COMMENT ON COLUMN {schema}.jobs.cancel_requested_by IS 'While running: who asked for its end.';
COMMENT ON COLUMN {schema}.jobs.timeout IS 'Seconds that each attempt may run; null: without limit.';
COMMENT ON COLUMN {schema}.jobs.expires_at IS 'No attempt begins after this time.';
COMMENT ON COLUMN {schema}.jobs.has_abort_hook IS 'Its class has an on_aborted() of its own.';
COMMENT ON COLUMN {schema}.jobs.progress IS 'What an attempt said last of how far it is, and which attempt that was.';

-- Both are nearly always empty. A worker asks the first one whether it is to stop something; going through all that it
-- has claimed would wade through the dead entries of thousands of short jobs.
CREATE INDEX jobs_cancel_requested ON {schema}.jobs (worker_id) WHERE cancel_requested_at IS NOT NULL;
CREATE INDEX jobs_expiring ON {schema}.jobs (expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE {schema}.results
    ADD COLUMN cpu_seconds real,
    ADD COLUMN peak_memory_kilobytes integer,
    ADD COLUMN timeout real,
    ADD COLUMN has_abort_hook boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN {schema}.results.cpu_seconds IS 'CPU time of the attempt, of all threads of its process.';
COMMENT ON COLUMN {schema}.results.peak_memory_kilobytes IS 'The most memory that its process held during the attempt.';
COMMENT ON COLUMN {schema}.results.timeout IS 'Seconds that the attempt could run; null: without limit.';
COMMENT ON COLUMN {schema}.results.has_abort_hook IS 'The job''s class has an on_aborted() of its own.';

ALTER TABLE {schema}.schedules
    ADD COLUMN timeout real,
    ADD COLUMN has_abort_hook boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN {schema}.schedules.timeout IS 'The timeout of its jobs.';
COMMENT ON COLUMN {schema}.schedules.has_abort_hook IS 'Their class has an on_aborted() of its own.';

ALTER TABLE {schema}.queues ADD COLUMN pause_reason text;

COMMENT ON COLUMN {schema}.queues.pause_reason IS 'Why it was paused, in the words of who paused it.';


CREATE TABLE {schema}.aborts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint NOT NULL,
    attempt integer NOT NULL,
    enqueued_at timestamptz NOT NULL,
    job_class text NOT NULL,
    queue text NOT NULL,
    priority smallint NOT NULL,
    arguments jsonb NOT NULL,
    result jsonb NOT NULL,
    added_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    tries integer NOT NULL DEFAULT 0,
    worker_id bigint
);

COMMENT ON TABLE {schema}.aborts IS 'Calls of on_aborted() that are owed: one row an attempt that could not see its own end.';
COMMENT ON COLUMN {schema}.aborts.id IS 'The order in which they are made.';
COMMENT ON COLUMN {schema}.aborts.job_id IS 'The job.';
COMMENT ON COLUMN {schema}.aborts.attempt IS 'Which of its attempts.';
COMMENT ON COLUMN {schema}.aborts.enqueued_at IS 'When the job was enqueued.';
COMMENT ON COLUMN {schema}.aborts.job_class IS 'The job''s class: only a worker that knows it makes the call.';
COMMENT ON COLUMN {schema}.aborts.queue IS 'The job''s queue.';
COMMENT ON COLUMN {schema}.aborts.priority IS 'The job''s priority.';
COMMENT ON COLUMN {schema}.aborts.arguments IS 'The job is made again from these.';
COMMENT ON COLUMN {schema}.aborts.result IS 'How the attempt ended: what on_aborted() is called with.';
COMMENT ON COLUMN {schema}.aborts.added_at IS 'When the attempt''s end was recorded.';
COMMENT ON COLUMN {schema}.aborts.tries IS 'How often a worker has taken it up; one that kills its worker is dropped.';
COMMENT ON COLUMN {schema}.aborts.worker_id IS 'Who has taken it up; another may, once that one is gone.';


CREATE TABLE {schema}.stacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint NOT NULL,
    attempt integer NOT NULL,
    worker_id bigint NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    answered_at timestamptz,
    stack text
);

COMMENT ON TABLE {schema}.stacks IS 'Questions of what a running job is doing, and their answers; gone when they are read.';
COMMENT ON COLUMN {schema}.stacks.id IS 'Which question.';
COMMENT ON COLUMN {schema}.stacks.job_id IS 'The job.';
COMMENT ON COLUMN {schema}.stacks.attempt IS 'Which of its attempts.';
COMMENT ON COLUMN {schema}.stacks.worker_id IS 'Who runs it, and is asked.';
COMMENT ON COLUMN {schema}.stacks.requested_at IS 'When it was asked.';
COMMENT ON COLUMN {schema}.stacks.answered_at IS 'When it was answered.';
COMMENT ON COLUMN {schema}.stacks.stack IS 'The answer, for people to read.';

CREATE INDEX stacks_unanswered ON {schema}.stacks (worker_id) WHERE answered_at IS NULL;
