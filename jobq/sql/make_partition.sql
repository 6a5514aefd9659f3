SELECT {schema}.make_partition(%(day)s)
