DELETE FROM {schema}.waiting_retries WHERE act = %(act)s
