-- These calls have been made, whatever came of them.
DELETE FROM {schema}.aborts WHERE id = ANY (%(ids)s::bigint[]) AND worker_id = %(worker_id)s
