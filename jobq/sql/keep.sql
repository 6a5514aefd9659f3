-- Keeps what an act needs to be undone that took no row away: the attempt at which it found each job.
INSERT INTO {schema}.kept (act, id, attempt)
SELECT %(act)s, id, attempt
FROM unnest(%(ids)s::bigint[], %(attempts)s::integer[]) AS found (id, attempt)
