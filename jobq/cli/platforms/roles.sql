-- Run once, by the database's image when it is new: the role of the workers, which owns nothing.
\getenv password WORKER_PASSWORD
CREATE ROLE jobq_worker LOGIN PASSWORD :'password';
