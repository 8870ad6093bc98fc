"""What Alembic runs: the steps, on the connection and in the transaction it is handed.

`app.migrations` opens both; nothing else may run this.
"""

from alembic import context

from app.models import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite changes a table by making another: see `app.migrations`.
    render_as_batch=connection.dialect.name == "sqlite",
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
