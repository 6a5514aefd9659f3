-- min_version: 19
-- More than half of each page of jobs is left free for the versions that claims write: at 50 the page was full for one
-- claim in sixteen, at 45 for none.

ALTER TABLE {schema}.jobs SET (fillfactor = 45);
