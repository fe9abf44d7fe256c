"""PostgreSQL, the store of truth."""
