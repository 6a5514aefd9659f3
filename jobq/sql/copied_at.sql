-- When a COPY took its jobs: any one of them tells, and nobody else sees it yet.
SELECT enqueued_at FROM {schema}.jobs WHERE id = %(id)s
