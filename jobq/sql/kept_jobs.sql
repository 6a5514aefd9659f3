SELECT DISTINCT id FROM {schema}.kept WHERE act = %(act)s ORDER BY id
