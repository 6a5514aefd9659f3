-- Leaves a retry to whichever worker first sees that the build lives.
INSERT INTO {schema}.waiting_retries (act, left_by, selection, build, is_younger)
VALUES (%(act)s, %(left_by)s, %(selection)s, %(build)s, %(is_younger)s)
