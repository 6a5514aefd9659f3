-- Ten thousand schedules: workers read those that are due, and of workers that declare the same they read one.

CREATE INDEX schedules_next ON {schema}.schedules (next_at) WHERE undeclared_at IS NULL AND next_at IS NOT NULL;

ALTER TABLE {schema}.workers ADD COLUMN schedules_digest text;

COMMENT ON COLUMN {schema}.workers.schedules_digest IS 'Tells apart what workers declare in their schedules; null: nothing yet.';

UPDATE {schema}.workers SET schedules_digest = md5(schedules::text) WHERE schedules_at IS NOT NULL;


-- Jobs of a class that was renamed are stored under its first alias (docs/renames.md). The application knows that; in plain
-- SQL, what workers said last of the class is as near as one gets. The function is otherwise as it was.
DO $do$
DECLARE
    before CONSTANT text := pg_get_functiondef(to_regproc(format('%I.enqueue', {schema_name})));
    begins CONSTANT text := E'\n    BEGIN\n        trouble := CASE';
    resolved CONSTANT text := format($sql$
    BEGIN
        job_class := coalesce(
            (
                SELECT class -> 'aliases' ->> 0
                FROM %I.workers
                CROSS JOIN LATERAL jsonb_array_elements(classes) AS class
                WHERE class ->> 'name' = enqueue.job_class OR class -> 'aliases' ? enqueue.job_class
                ORDER BY workers.id DESC
                LIMIT 1
            ),
            enqueue.job_class
        );
        trouble := CASE$sql$, {schema_name});
BEGIN
    IF strpos(before, begins) = 0 THEN
        RAISE EXCEPTION 'the function enqueue is not as this migration expects it';
    END IF;
    EXECUTE replace(before, begins, resolved);
END;
$do$;
