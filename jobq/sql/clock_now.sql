-- The time by the clock that every statement reads.
SELECT statement_timestamp()
