-- The first job of a page whose arguments the database cannot give as text: they are not touched here.
SELECT id, job_class
FROM {schema}.jobs
WHERE id > %(after)s AND id <= %(until)s
ORDER BY id
LIMIT 1
