UPDATE {schema}.audit SET undone_at = statement_timestamp() WHERE id = %(act)s
