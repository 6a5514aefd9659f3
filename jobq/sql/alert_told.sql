UPDATE {schema}.alerts SET told_at = statement_timestamp() WHERE key = %(key)s
