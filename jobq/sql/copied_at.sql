-- When a COPY took its jobs: any one of them tells, and nobody else sees it yet.
SELECT (extract(epoch FROM enqueued_at) * 1000000)::bigint FROM {schema}.jobs WHERE id = %(id)s::bigint
