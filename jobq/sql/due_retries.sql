-- Whether a retry waits whose build lives. The table is nearly always empty.
SELECT EXISTS (SELECT FROM {schema}.waiting_retries WHERE {its_build_lives})
