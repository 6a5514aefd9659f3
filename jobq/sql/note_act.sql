-- Adds what one transaction of an act did to the act's row.
SELECT {schema}.note_act(%(act)s::bigint, %(affected)s::integer, %(ids)s::bigint[], %(names)s::text[])
