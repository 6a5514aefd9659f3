-- One worker of all gets an answer, and no other within the time.
INSERT INTO {schema}.turns (name, taken_at)
VALUES (%(name)s, statement_timestamp())
ON CONFLICT (name) DO UPDATE
SET taken_at = excluded.taken_at
WHERE turns.taken_at < statement_timestamp() - %(seconds)s::float8 * interval '1 second'
    OR turns.taken_at > statement_timestamp() + interval '1 minute'
RETURNING name
