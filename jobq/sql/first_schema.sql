-- Where tables go that an application makes with this role and in this database, unless it names their schema: the first
-- schema of `search_path` that exists. jobq's own sessions set another path, so this belongs after SET LOCAL … DEFAULT.
SELECT current_schema()::text
