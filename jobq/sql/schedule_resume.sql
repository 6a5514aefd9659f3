-- The schedule fires again from its next tick on. What passed while it was paused was not missed: where no worker moved it
-- on meanwhile, it goes to the tick that was calculated from what was seen. No row: it was moved in between.
UPDATE {schema}.schedules
SET paused_at = NULL, paused_by = NULL, next_at = %(next_at)s
WHERE name = %(name)s AND paused_at IS NOT NULL AND next_at IS NOT DISTINCT FROM %(seen_next_at)s
RETURNING name
