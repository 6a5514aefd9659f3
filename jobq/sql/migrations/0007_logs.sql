-- min_version: 1
-- What jobs have logged and printed: of attempts that failed, of those that somebody follows, and of those that run for
-- long. Whoever follows has a row, which ends by itself.

CREATE TABLE {schema}.logs (
    at timestamptz NOT NULL DEFAULT statement_timestamp(),
    began_at timestamptz NOT NULL,
    job_id bigint NOT NULL,
    attempt integer NOT NULL,
    said integer NOT NULL,
    level smallint NOT NULL,
    worker_id bigint,
    job_class text NOT NULL,
    queue text NOT NULL,
    lines text NOT NULL
) PARTITION BY RANGE (at);

COMMENT ON TABLE {schema}.logs IS 'What attempts have logged and printed, some lines a row. Dropped by the day, with results.';
COMMENT ON COLUMN {schema}.logs.at IS 'When it was written, by the database''s clock.';
COMMENT ON COLUMN {schema}.logs.began_at IS 'When the attempt began: each line says how long after that it was said.';
COMMENT ON COLUMN {schema}.logs.job_id IS 'The job.';
COMMENT ON COLUMN {schema}.logs.attempt IS 'Which of its attempts.';
COMMENT ON COLUMN {schema}.logs.said IS 'How many lines the attempt had said by then, those that are not kept too.';
COMMENT ON COLUMN {schema}.logs.level IS 'The highest level of these lines, as Python numbers them.';
COMMENT ON COLUMN {schema}.logs.worker_id IS 'Who ran it.';
COMMENT ON COLUMN {schema}.logs.job_class IS 'The job''s class.';
COMMENT ON COLUMN {schema}.logs.queue IS 'The job''s queue.';
COMMENT ON COLUMN {schema}.logs.lines IS 'One line a line: a JSON array of its number, milliseconds, level, logger and text.';

CREATE INDEX logs_job ON {schema}.logs (job_id, attempt);
CREATE INDEX logs_at ON {schema}.logs (at);

-- Catches what no day's partition takes, so that nothing is refused.
CREATE TABLE {schema}.logs_default PARTITION OF {schema}.logs DEFAULT;

CREATE TABLE {schema}.follows (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint,
    classes text[] NOT NULL DEFAULT '{}',
    queues text[] NOT NULL DEFAULT '{}',
    level smallint NOT NULL DEFAULT 0,
    until timestamptz NOT NULL,
    followed_by text
);

COMMENT ON TABLE {schema}.follows IS 'Who follows the lines of jobs at this moment: workers send them while such a row lasts.';
COMMENT ON COLUMN {schema}.follows.id IS 'Which follower.';
COMMENT ON COLUMN {schema}.follows.job_id IS 'The job that is followed; null: all that the other columns mean.';
COMMENT ON COLUMN {schema}.follows.classes IS 'Names of classes, in which * stands for anything; none: all.';
COMMENT ON COLUMN {schema}.follows.queues IS 'Names of queues, likewise.';
COMMENT ON COLUMN {schema}.follows.level IS 'The lowest level that is followed.';
COMMENT ON COLUMN {schema}.follows.until IS 'When this ends, unless the follower puts it off.';
COMMENT ON COLUMN {schema}.follows.followed_by IS 'Who follows, as the program said.';


-- The partitions of both tables are made and dropped together. What an older release makes of results is made of logs too.

CREATE OR REPLACE FUNCTION {schema}.make_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    first CONSTANT text := to_char(day, 'YYYY-MM-DD');
    behind CONSTANT text := to_char(day + 1, 'YYYY-MM-DD');
    parent text;
    moment text;
    partition text;
BEGIN
    FOR parent, moment IN VALUES ('results', 'ended_at'), ('logs', 'at') LOOP
        partition := parent || '_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(format('%I.%I', {schema_name}, partition)) IS NOT NULL;
        -- Writers wait at the parent, before they choose a partition: one that had chosen the default partition and waited
        -- there would be refused once the day has a partition of its own.
        EXECUTE format('LOCK TABLE ONLY %I.%I IN SHARE ROW EXCLUSIVE MODE', {schema_name}, parent);
        EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', {schema_name}, parent || '_default');
        -- No INCLUDING INDEXES: attaching it makes those of the parent, without copies beside them.
        EXECUTE format(
            'CREATE TABLE %1$I.%2$I (LIKE %1$I.%3$I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
            {schema_name}, partition, parent
        );
        EXECUTE format(
            'WITH moved AS (DELETE FROM %1$I.%2$I WHERE %3$I >= %4$L AND %3$I < %5$L RETURNING *) '
            'INSERT INTO %1$I.%6$I SELECT * FROM moved',
            {schema_name}, parent || '_default', moment, first, behind, partition
        );
        EXECUTE format(
            'ALTER TABLE %1$I.%2$I ATTACH PARTITION %1$I.%3$I FOR VALUES FROM (%4$L) TO (%5$L)',
            {schema_name}, parent, partition, first, behind
        );
    END LOOP;
END;
$function$;

COMMENT ON FUNCTION {schema}.make_partition IS
    'Makes one day''s partitions of results and logs, and moves into them what the default partitions caught of that day.';

CREATE OR REPLACE FUNCTION {schema}.drop_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %I.%I', {schema_name}, 'results_' || to_char(day, 'YYYYMMDD'));
    EXECUTE format('DROP TABLE IF EXISTS %I.%I', {schema_name}, 'logs_' || to_char(day, 'YYYYMMDD'));
END;
$function$;

COMMENT ON FUNCTION {schema}.drop_partition IS 'Drops one day''s partitions of results and logs.';

-- The days that results have already.
DO $block$
DECLARE
    day text;
BEGIN
    FOR day IN
        SELECT right(relname, 8)
        FROM pg_inherits
        JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = format('%I.results', {schema_name})::regclass AND relname ~ '^results_\d{8}$'
        ORDER BY relname
    LOOP
        PERFORM {schema}.make_partition(to_date(day, 'YYYYMMDD'));
    END LOOP;
END
$block$;
