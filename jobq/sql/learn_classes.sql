UPDATE {schema}.workers SET classes = %(classes)s::jsonb WHERE id = %(worker_id)s
