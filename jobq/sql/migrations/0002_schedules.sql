-- Schedules: what is enqueued again and again, and what became of every tick.

CREATE TABLE {schema}.schedules (
    name text PRIMARY KEY CHECK (name <> '' AND octet_length(name) <= 2000),
    job_class text NOT NULL CHECK (job_class <> '' AND octet_length(job_class) <= 1000),
    arguments jsonb NOT NULL CHECK (jsonb_typeof(arguments) = 'object'),
    queue text NOT NULL CHECK (queue <> '' AND octet_length(queue) <= 400),
    priority smallint NOT NULL CHECK (priority > -32768),
    retries integer NOT NULL CHECK (retries >= 0),
    unique_key text CHECK (unique_key <> '' AND octet_length(unique_key) <= 1000),
    expression text NOT NULL,
    timezone text NOT NULL,
    missed text NOT NULL CHECK (missed IN ('once', 'skip', 'all')),
    overlap text NOT NULL CHECK (overlap IN ('allow', 'skip')),
    jitter float8 NOT NULL CHECK (jitter >= 0),
    next_at timestamptz,
    last_at timestamptz,
    undeclared_at timestamptz,
    paused_at timestamptz,
    paused_by text
) WITH (fillfactor = 50);

COMMENT ON TABLE {schema}.schedules IS 'One row a schedule that the code of some worker declared, as the youngest of them has it.';
COMMENT ON COLUMN {schema}.schedules.name IS 'The class, or class:name where it has several, or the name in pyproject.toml.';
COMMENT ON COLUMN {schema}.schedules.job_class IS 'The class of the jobs that it enqueues.';
COMMENT ON COLUMN {schema}.schedules.arguments IS 'The arguments of these jobs.';
COMMENT ON COLUMN {schema}.schedules.queue IS 'Their queue.';
COMMENT ON COLUMN {schema}.schedules.priority IS 'Their priority.';
COMMENT ON COLUMN {schema}.schedules.retries IS 'Their retries.';
COMMENT ON COLUMN {schema}.schedules.unique_key IS 'Their unique key: a tick passes while an unfinished job holds it.';
COMMENT ON COLUMN {schema}.schedules.expression IS 'Five fields as in a crontab, or a word like @daily.';
COMMENT ON COLUMN {schema}.schedules.timezone IS 'The zone whose wall clock the expression means.';
COMMENT ON COLUMN {schema}.schedules.missed IS 'What becomes of ticks while nothing ran: one job for all, none, or one each.';
COMMENT ON COLUMN {schema}.schedules.overlap IS 'Whether a tick gets a job while the last one is unfinished.';
COMMENT ON COLUMN {schema}.schedules.jitter IS 'Its jobs start up to so many seconds after the tick.';
COMMENT ON COLUMN {schema}.schedules.next_at IS 'The next tick; null: its place in time was given up when the code dropped it.';
COMMENT ON COLUMN {schema}.schedules.last_at IS 'The last tick that was served, with or without a job. No tick up to here is served again.';
COMMENT ON COLUMN {schema}.schedules.undeclared_at IS 'Since when no live worker declares it: it does not fire.';
COMMENT ON COLUMN {schema}.schedules.paused_at IS 'Since when its ticks pass without a job.';
COMMENT ON COLUMN {schema}.schedules.paused_by IS 'Who paused it.';


-- Which tick enqueued which job is kept here and not with the job: claims and endings carry nothing for it.
-- The key is the promise: a tick is served once.
CREATE TABLE {schema}.ticks (
    schedule text NOT NULL,
    tick_at timestamptz NOT NULL,
    by_hand boolean NOT NULL DEFAULT false,
    fired_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    verdict text NOT NULL CHECK (verdict IN ('enqueued', 'overlapped', 'held', 'missed')),
    passed integer NOT NULL DEFAULT 0,
    job_id bigint,
    PRIMARY KEY (schedule, tick_at, by_hand),
    CHECK ((verdict = 'enqueued') = (job_id IS NOT NULL))
);

COMMENT ON TABLE {schema}.ticks IS 'Every tick that was served, as long as results are kept.';
COMMENT ON COLUMN {schema}.ticks.schedule IS 'The schedule.';
COMMENT ON COLUMN {schema}.ticks.tick_at IS 'When it was due; by hand: when it was asked for.';
COMMENT ON COLUMN {schema}.ticks.by_hand IS 'Somebody asked for it out of turn.';
COMMENT ON COLUMN {schema}.ticks.fired_at IS 'When it was served.';
COMMENT ON COLUMN {schema}.ticks.verdict IS 'enqueued; overlapped, held: the last job, or one with its unique key, was unfinished; missed.';
COMMENT ON COLUMN {schema}.ticks.passed IS 'Missed ticks before it that it also stands for, counted up to 100.';
COMMENT ON COLUMN {schema}.ticks.job_id IS 'The job that it enqueued.';

CREATE INDEX ticks_job ON {schema}.ticks (job_id) WHERE job_id IS NOT NULL;


ALTER TABLE {schema}.workers ADD COLUMN schedules jsonb NOT NULL DEFAULT '[]';
ALTER TABLE {schema}.workers ADD COLUMN schedules_at timestamptz;

COMMENT ON COLUMN {schema}.workers.schedules IS 'The schedules that its code declares.';
COMMENT ON COLUMN {schema}.workers.schedules_at IS 'Since when: of several declarations of one name the youngest counts. Null: not known yet.';
