-- Lets calls go that this worker took up and did not get to.
UPDATE {schema}.aborts
SET worker_id = NULL, tries = tries - 1
WHERE id = ANY (%(ids)s::bigint[]) AND worker_id = %(worker_id)s
