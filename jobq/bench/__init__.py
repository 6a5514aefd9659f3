"""`jobq bench`: what a database and a machine give jobq, measured in a schema of its own."""
