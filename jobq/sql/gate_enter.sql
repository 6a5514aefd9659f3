-- Locks a gate for a claim through it, until the transaction ends. Counts nothing: a count in this statement would not see
-- what was committed while it waited or was under way. Whoever finds the gate locked goes on elsewhere, and comes back.
-- NO KEY UPDATE: the lock of a claim, of a declaration, of an operator's word. They exclude each other.
SELECT name
FROM {schema}.gates
WHERE name = %(gate)s::text
FOR NO KEY UPDATE SKIP LOCKED
