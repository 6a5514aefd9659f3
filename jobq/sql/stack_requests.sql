-- Of which jobs this worker is asked what they are doing.
SELECT id, job_id, attempt FROM {schema}.stacks WHERE worker_id = %(worker_id)s AND answered_at IS NULL ORDER BY id
