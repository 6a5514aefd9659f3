-- Whether the history's partitions are made ahead, and whether anything went to the one that catches the rest.
SELECT
    EXISTS (SELECT FROM {schema}.results_default) AS is_caught,
    to_regclass(%(tomorrow)s) IS NOT NULL AS is_made_ahead
