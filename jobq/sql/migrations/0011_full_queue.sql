-- Enqueueing never fails for want of room in the server's queue of notifications, as in enqueue.sql: the function as it
-- was, but for the condition at its end.

CREATE OR REPLACE FUNCTION {schema}.enqueue(
    job_class text,
    arguments jsonb DEFAULT '{}',
    queue text DEFAULT 'default',
    priority integer DEFAULT 0,
    retries integer DEFAULT 0,
    delay interval DEFAULT NULL,
    run_at timestamptz DEFAULT NULL,
    unique_key text DEFAULT NULL,
    timeout interval DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL,
    source text DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql AS $function$
#variable_conflict use_column
DECLARE
    unfit CONSTANT text := '[\u0001-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]';
    max_bytes CONSTANT integer := coalesce(nullif(current_setting('jobq.max_arguments_bytes', true), '')::integer, 262144);
    due CONSTANT timestamptz := coalesce(
        enqueue.run_at, statement_timestamp() + coalesce(enqueue.delay, interval '0')
    );
    trouble text;
    added bigint;
BEGIN
    trouble := CASE
        WHEN enqueue.job_class IS NULL OR enqueue.job_class = '' OR octet_length(enqueue.job_class) > 1000
            THEN 'job_class must be the registered name of a class, like shop.jobs.SendReceipt'
        WHEN enqueue.arguments IS NULL OR jsonb_typeof(enqueue.arguments) <> 'object'
            THEN 'arguments must be a JSON object: the constructor''s arguments by name'
        WHEN octet_length(enqueue.arguments::text) > max_bytes
            THEN format('arguments take %s bytes; %s are allowed (jobq.max_arguments_bytes)',
                octet_length(enqueue.arguments::text), max_bytes)
        WHEN enqueue.queue IS NULL OR enqueue.queue = '' OR enqueue.queue ~ unfit
            THEN 'queue must be text without control characters'
        WHEN char_length(enqueue.queue) > 100
            THEN format('queue is a name of %s characters; 100 are allowed', char_length(enqueue.queue))
        WHEN enqueue.priority IS NULL OR enqueue.priority NOT BETWEEN -32767 AND 32767
            THEN 'priority must be between -32767 and 32767'
        WHEN enqueue.retries IS NULL OR enqueue.retries NOT BETWEEN 0 AND 1000000
            THEN 'retries must be between 0 and 1000000'
        WHEN enqueue.unique_key ~ unfit
            THEN 'unique_key must be text without control characters'
        WHEN char_length(enqueue.unique_key) > 250
            THEN format('unique_key has %s characters; 250 are allowed. Use a hash of it', char_length(enqueue.unique_key))
        WHEN enqueue.delay IS NOT NULL AND enqueue.run_at IS NOT NULL
            THEN 'delay and run_at exclude each other'
        WHEN enqueue.delay < interval '0'
            THEN 'delay must not be negative: a job cannot start in the past'
        WHEN due > statement_timestamp() + interval '36525 days' AND enqueue.delay IS NOT NULL
            THEN 'delay must not be more than 100 years'
        WHEN extract(year FROM due AT TIME ZONE 'UTC') NOT BETWEEN 1970 AND 9998
            THEN 'run_at must be within the years 1970 to 9998'
        WHEN enqueue.timeout <= interval '0' OR enqueue.timeout > interval '36525 days'
            THEN 'timeout must be above 0, and not more than 100 years'
        WHEN enqueue.expires_at <= greatest(due, statement_timestamp())
            THEN 'expires_at is not after the job is due: it would never run'
        WHEN extract(year FROM enqueue.expires_at AT TIME ZONE 'UTC') NOT BETWEEN 1970 AND 9998
            THEN 'expires_at must be within the years 1970 to 9998'
    END;
    IF trouble IS NOT NULL THEN
        RAISE EXCEPTION 'enqueue: %', trouble USING ERRCODE = 'invalid_parameter_value';
    END IF;

    INSERT INTO {schema}.jobs
        (job_class, arguments, queue, priority, retries, unique_key, source, run_at, state, timeout, expires_at,
         has_abort_hook)
    VALUES (
        enqueue.job_class, enqueue.arguments, enqueue.queue, enqueue.priority, enqueue.retries,
        nullif(enqueue.unique_key, ''), enqueue.source, due,
        CASE WHEN due > statement_timestamp() THEN 'scheduled' ELSE 'pending' END,
        extract(epoch FROM enqueue.timeout), enqueue.expires_at,
        -- Only the application knows that; what its workers last reported is as near as SQL gets.
        coalesce(
            (
                SELECT (class ->> 'has_abort_hook')::boolean
                FROM {schema}.workers
                CROSS JOIN LATERAL jsonb_array_elements(classes) AS class
                WHERE class ->> 'name' = enqueue.job_class OR class -> 'aliases' ? enqueue.job_class
                ORDER BY workers.id DESC
                LIMIT 1
            ),
            false
        )
    )
    ON CONFLICT (job_class, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
    RETURNING id INTO added;

    IF added IS NOT NULL AND EXISTS (SELECT FROM {schema}.workers WHERE waiting) AND pg_notification_queue_usage() < 0.9
    THEN
        PERFORM pg_notify({channel}, enqueue.queue);
    END IF;
    RETURN added;
END;
$function$;
