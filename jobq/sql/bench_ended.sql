-- What a drain of `jobq bench` came to: attempts, jobs, and the seconds from the first start to the last end.
SELECT count(*), count(DISTINCT id), coalesce(extract(epoch FROM max(ended_at) - min(started_at)), 0)::float8
FROM {schema}.results
WHERE outcome = 'successful'
