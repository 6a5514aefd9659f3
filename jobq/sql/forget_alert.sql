DELETE FROM {schema}.alerts WHERE key = %(key)s
