"""The schema of the database, as steps from nothing to now."""
