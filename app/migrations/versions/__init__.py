"""The steps, in their order. Alembic reads them from this folder."""
