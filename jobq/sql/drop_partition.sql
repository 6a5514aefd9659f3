SELECT {schema}.drop_partition(%(day)s)
