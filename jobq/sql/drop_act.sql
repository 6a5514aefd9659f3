-- An act that did nothing leaves no record.
DELETE FROM {schema}.audit WHERE id = %(act)s
