-- Followers that have gone without a word.
DELETE FROM {schema}.follows WHERE until < statement_timestamp()
