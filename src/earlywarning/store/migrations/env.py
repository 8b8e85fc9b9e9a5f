"""Alembic's environment: runs on the connection, and in the transaction, that the store hands in."""

from alembic import context

from earlywarning.store.errors import StoreError
from earlywarning.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,  # on SQLite too: the store begins real transactions there
)
if context.get_context().opts["fn"].__name__ == "downgrade":
    raise StoreError(
        "a store is not downgraded: what the newer version has kept would be lost; "
        "restore what was backed up before the upgrade (earlywarning restore)"
    )
with context.begin_transaction():
    context.run_migrations()
