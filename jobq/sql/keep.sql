-- Keeps what an act needs to be undone: the attempt at which it found each job, and the row where it took one away.
INSERT INTO {schema}.kept (act, id, attempt, row)
SELECT %(act)s, id, attempt, row::jsonb
FROM unnest(%(ids)s::bigint[], %(attempts)s::integer[], %(rows)s::text[]) AS found (id, attempt, row)
