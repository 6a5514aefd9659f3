INSERT INTO {schema}.audit (who, verb, selection, undoes)
VALUES (%(who)s, %(verb)s, %(selection)s, %(undoes)s)
RETURNING id
