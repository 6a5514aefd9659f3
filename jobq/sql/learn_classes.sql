UPDATE {schema}.workers SET classes = %(classes)s::jsonb, class_names = %(class_names)s::text[] WHERE id = %(worker_id)s
