SELECT {schema}.begin_act(%(who)s::text, %(verb)s::text, %(selection)s::text, %(undoes)s::bigint)
