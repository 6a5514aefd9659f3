SELECT at FROM {schema}.deploys ORDER BY id DESC LIMIT 1
