-- Which of these rights the role at hand does not have, by their places. Of a right to some columns only the statement that
-- needs it knows which: here, any will do.
SELECT place
FROM unnest(%(privileges)s::text[], %(things)s::text[]) WITH ORDINALITY AS wanted (privilege, thing, place)
WHERE NOT CASE privilege
    WHEN 'EXECUTE' THEN has_function_privilege(to_regproc(thing), privilege)
    WHEN 'USAGE' THEN has_sequence_privilege(to_regclass(thing), privilege)
    WHEN 'DELETE' THEN has_table_privilege(to_regclass(thing), privilege)
    ELSE has_any_column_privilege(to_regclass(thing), privilege)
END
ORDER BY place
