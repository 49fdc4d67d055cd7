"""PostgreSQL's own index for searching what was said, where its extension pg_trgm may be had.

It is made beside the running server, once, and kept by PostgreSQL from then on. Where it cannot be made, searches read
every message.
"""

from __future__ import annotations

import logging

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from agentsight_server.domain.causes import reason
from agentsight_server.store.database import Database
from agentsight_server.store.messages import WRITTEN

__all__ = ["ensure"]

log = logging.getLogger(__name__)

NAME = "ix_items_said"
_IS_VALID = text(
    "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "WHERE c.relname = :name AND c.relnamespace = current_schema()::regnamespace"
)
# The pending list lets inserts go on at their pace; what is in it is searched, too.
_MAKE = (
    f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {NAME} ON items "
    "USING gin (agentsight_fold(content) gin_trgm_ops) WITH (fastupdate = on, gin_pending_list_limit = 16384) "
    f"WHERE kind IN {WRITTEN}"
)


def ensure(database: Database) -> bool:
    """Make the index if it is not there; returns whether it is. May take minutes, and holds nobody up.

    Example:
        >>> ensure(database)
        True
    """
    try:
        with database.writing.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            valid = connection.execute(_IS_VALID, {"name": NAME}).scalar()
            if valid:
                return True
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            if valid is False:  # the making of it was interrupted
                connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
            connection.exec_driver_sql(_MAKE)
            return True
    except DBAPIError as error:
        log.info("searches read every message, since there is no index for them (pg_trgm: %s)", reason(error))
        return False
