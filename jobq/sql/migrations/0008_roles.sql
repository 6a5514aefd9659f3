-- What the workers' maintenance does to tables, as functions that act for their owner: a worker's role then needs to own
-- nothing. Making a day's partition and dropping one are the owner's rights alone, and cannot be granted.
-- The path holds nothing in which anybody could put a function or table of their own.

CREATE FUNCTION {schema}.make_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    partition CONSTANT text := format('%I.%I', {schema_name}, 'results_' || to_char(day, 'YYYYMMDD'));
BEGIN
    -- Writers wait at the parent, before they choose a partition: one that had chosen the default partition and waited
    -- there would be refused once the day has a partition of its own.
    LOCK TABLE ONLY {schema}.results IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE {schema}.results_default IN ACCESS EXCLUSIVE MODE;
    -- No INCLUDING INDEXES: attaching it makes those of the parent, without copies beside them.
    EXECUTE format(
        'CREATE TABLE %s (LIKE %I.results INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition, {schema_name}
    );
    EXECUTE format(
        'WITH moved AS (DELETE FROM %1$I.results_default WHERE ended_at >= %2$L AND ended_at < %3$L RETURNING *) '
        'INSERT INTO %4$s SELECT * FROM moved',
        {schema_name}, to_char(day, 'YYYY-MM-DD'), to_char(day + 1, 'YYYY-MM-DD'), partition
    );
    EXECUTE format(
        'ALTER TABLE %1$I.results ATTACH PARTITION %4$s FOR VALUES FROM (%2$L) TO (%3$L)',
        {schema_name}, to_char(day, 'YYYY-MM-DD'), to_char(day + 1, 'YYYY-MM-DD'), partition
    );
END;
$function$;

COMMENT ON FUNCTION {schema}.make_partition IS
    'Makes one day''s partition of results, and moves into it what the default partition caught of that day.';

CREATE FUNCTION {schema}.drop_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %I.%I', {schema_name}, 'results_' || to_char(day, 'YYYYMMDD'));
END;
$function$;

COMMENT ON FUNCTION {schema}.drop_partition IS 'Drops one day''s partition of results.';

REVOKE ALL ON FUNCTION {schema}.make_partition(date), {schema}.drop_partition(date) FROM PUBLIC;
