"""The versions that are measured, in one place; the first of each names the system's own."""

PGQUEUER = ("pgqueuer[asyncpg]==1.6.0", "uvloop==0.22.1")
GRAPHILE_WORKER = ("graphile-worker@0.18.0",)
PG_BOSS = ("pg-boss@12.38.0",)
PROCRASTINATE = ("procrastinate==3.10.0", "psycopg[binary,pool]==3.3.9")
OBAN = ("oban==0.7.0", "psycopg[binary,pool]==3.3.9", "uvloop==0.23.0")
CHANCY = ("chancy==0.26.0", "psycopg[binary,pool]==3.3.9")
