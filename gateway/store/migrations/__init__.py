"""The Alembic scripts that `gateway/store/schema_migration.py` runs."""
