"""A worker's report to its platform: whether it is alive and ready, and its figures."""
