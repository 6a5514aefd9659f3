SELECT {schema}.test_run(%(command)s::text)
