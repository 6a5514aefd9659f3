-- The rows of another statement by the names of their columns, as text: every driver gives text alike. JSON that others
-- have written comes beside the rest, so that a value nested too deep to be read does not hide the row.
SELECT
    (document - ARRAY['arguments', 'value', 'progress'])::text AS fields,
    (document -> 'arguments')::text AS arguments,
    (document -> 'value')::text AS value,
    (document -> 'progress')::text AS progress
FROM (
{rows}
) AS found
CROSS JOIN LATERAL (SELECT to_jsonb(found) AS document OFFSET 0) AS named
