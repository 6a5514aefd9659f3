-- Where tables go that an application makes with this role and in this database, unless it names their schema: the first
-- schema of `search_path` that exists. jobq's own sessions have another path, so this is asked in one that sets nothing.
SELECT current_schema()::text
