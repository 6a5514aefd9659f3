-- The rows of another statement by the names of their columns, as text: every driver gives text alike. The JSON of users
-- comes beside the rest, so that one value nested too deep to be read does not hide the row.
SELECT
    (to_jsonb(found) - ARRAY['arguments', 'value'])::text AS fields,
    (to_jsonb(found) -> 'arguments')::text AS arguments,
    (to_jsonb(found) -> 'value')::text AS value
FROM (
{rows}
) AS found
