#!/bin/sh
# Before the workers start, as the owner of the tables: brings the schema up to date, and gives the role of the workers the
# rights that it needs, and no others. Safe to run from several places at once, and under running workers.
set -eu
jobq migrate
jobq migrate --grants worker --to "${WORKER_ROLE:-jobq_worker}" | python -c '
import os, sys, psycopg
with psycopg.connect(os.environ["JOBQ_DATABASE_URL"]) as connection:
    connection.execute(sys.stdin.read())
'
