-- Whether the role at hand may read everything of jobs, arguments and values too. Asked first: on the connection of a
-- caller, a statement that is refused would take the transaction along.
SELECT bool_and(has_table_privilege(name, 'SELECT')) AS may_read
FROM unnest(%(tables)s::text[]) AS wanted (name)
