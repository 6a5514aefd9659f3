-- How many jobs are queued, and the last of them: jobs that come in while their arguments are read are not waited for.
SELECT count(*), coalesce(max(id), 0) FROM {schema}.jobs
