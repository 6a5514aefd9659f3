-- For tests: executes what changes the schema, given as a value. So every driver sends it as it is, whatever the driver
-- thinks of the characters in it. A transaction that holds a table of jobq's ends it soon, instead of holding it up.
CREATE OR REPLACE FUNCTION {schema}.test_run(command text) RETURNS boolean
LANGUAGE plpgsql
SET lock_timeout = '5s'
AS $function$
BEGIN
    EXECUTE command;
    RETURN true;
END
$function$
