SELECT {schema}.mark_undone(%(act)s::bigint)
