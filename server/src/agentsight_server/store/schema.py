"""Tables of the store.

Times are whole microseconds since 1970 UTC. JSON is kept as text: what came in goes out byte for byte,
and both engines can look inside when a filter asks.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite makes only a column of type INTEGER the row's own number.
RowId = BigInteger().with_variant(Integer(), "sqlite")

# Numbers in use; never renumber.
ITEM_KINDS = ("message", "action", "button", "attachments", "token_usage", "feedback")
MESSAGE, ACTION, BUTTON, ATTACHMENTS, TOKEN_USAGE, FEEDBACK = range(6)
SENDERS = ("end_user", "agent", "system")
END_USER, AGENT, SYSTEM = range(3)

agents = Table(
    "agents",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("settings", Text, nullable=False, server_default="{}"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("agent_id", RowId, ForeignKey("agents.id"), nullable=False, index=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("role", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    # Written at most once a minute; null: never used.
    Column("last_used_at", BigInteger),
    Column("settings", Text, nullable=False, server_default="{}"),
)

people = Table(
    "people",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
)

# Which agents a person who is not an owner may see.
memberships = Table(
    "memberships",
    metadata,
    Column("person_id", RowId, ForeignKey("people.id"), primary_key=True),
    Column("agent_id", RowId, ForeignKey("agents.id"), primary_key=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("person_id", RowId, ForeignKey("people.id"), nullable=False, index=True),
    Column("csrf_token", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

one_time_links = Table(
    "one_time_links",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

# Values that belong to this installation: the signing secret.
installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# Running numbers: "revision" on both engines; on SQLite also those of rows (PostgreSQL has sequences).
counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("agent_id", RowId, ForeignKey("agents.id"), nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("name", Text),
    Column("customer_id", Text),
    Column("customer_ip_address", Text),
    Column("device", Text),
    Column("source", Text),
    Column("language", Text),
    Column("environment", Text, nullable=False),
    Column("metadata", Text, nullable=False, server_default="{}"),
    Column("country", Text),
    Column("city", Text),
    Column("timezone_name", Text),
    Column("is_marked", Boolean, nullable=False, server_default=false()),
    Column("is_deleted", Boolean, nullable=False, server_default=false()),
    Column("is_used", Boolean, nullable=False, server_default=true()),
    Column("is_offered", Boolean, nullable=False, server_default=false()),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    # Kept beside the items so that a list needs no look at them.
    Column("first_question", Text),
    Column("messages", Integer, nullable=False, server_default="0"),
    Column("revision", BigInteger, nullable=False, index=True),
    # The ingest key that began it; null: a key that may do more, or an import.
    Column("begun_by", RowId),
    # The last revision that changed items that were there already: a follower has to take them all again.
    Column("rewritten", BigInteger, nullable=False, server_default="0"),
    # The erasure that takes it away, piece by piece: from then on nobody sees it.
    Column("erasure", RowId),
    UniqueConstraint("agent_id", "conversation_id"),
    Index("ix_conversations_recent", "agent_id", "started_at", "id"),
    Index("ix_conversations_customer", "agent_id", "customer_id"),
    Index(
        "ix_conversations_erasure",
        "erasure",
        sqlite_where=text("erasure IS NOT NULL"),
        postgresql_where=text("erasure IS NOT NULL"),
    ),
)

# One row for everything that happened, whatever its kind; (agent, uuid) makes sending twice harmless.
items = Table(
    "items",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("agent_id", RowId, nullable=False),
    Column("conversation", RowId, ForeignKey("conversations.id"), nullable=False),
    Column("uuid", LargeBinary(16), nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("sender", SmallInteger),
    Column("content", Text),
    Column("metadata", Text),
    UniqueConstraint("agent_id", "uuid"),
    Index("ix_items_conversation", "conversation", "timestamp"),
)

actions = Table(
    "actions",
    metadata,
    Column("item", RowId, ForeignKey("items.id"), primary_key=True),
    Column("conversation", RowId, nullable=False, index=True),
    Column("action_name", Text, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("duration_ms", BigInteger),
    Column("tools_used", Text),
    Column("response", Text),
    Column("error_msg", Text),
)

buttons = Table(
    "buttons",
    metadata,
    Column("item", RowId, ForeignKey("items.id"), primary_key=True),
    Column("conversation", RowId, nullable=False, index=True),
    Column("button_event", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("value", Text, nullable=False),
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("item", RowId, ForeignKey("items.id"), nullable=False, index=True),
    Column("conversation", RowId, nullable=False, index=True),
    Column("sha256", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

token_usage = Table(
    "token_usage",
    metadata,
    Column("item", RowId, ForeignKey("items.id"), primary_key=True),
    Column("conversation", RowId, nullable=False, index=True),
    Column("model", Text),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("total_tokens", BigInteger, nullable=False),
    Column("embedding_tokens", BigInteger, nullable=False),
    # Parts of the prompt ...
    Column("cached_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cache_write_tokens", BigInteger, nullable=False, server_default="0"),
    Column("input_audio_tokens", BigInteger, nullable=False, server_default="0"),
    # ... and of the completion.
    Column("reasoning_tokens", BigInteger, nullable=False, server_default="0"),
    Column("output_audio_tokens", BigInteger, nullable=False, server_default="0"),
)

feedbacks = Table(
    "feedbacks",
    metadata,
    Column("item", RowId, ForeignKey("items.id"), primary_key=True),
    Column("conversation", RowId, nullable=False, index=True),
    Column("sentiment", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("comment", Text),
    Column("person_id", RowId),
    # The UUID of the message that it is about, which may arrive later; null: the conversation.
    Column("message", LargeBinary(16)),
    # Of a customer's vote: that UUID, or no bytes for the conversation. One vote each; older rows have none.
    Column("slot", LargeBinary(16)),
    Index("uq_feedbacks_slot", "conversation", "slot", unique=True),
)

# Who did what, from where. Names are kept as they were: a person or a key may be gone when somebody looks.
security_events = Table(
    "security_events",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("action", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("person_id", RowId),
    Column("key_id", RowId),
    Column("agent_id", RowId),
    Column("address", Text, nullable=False),
    Column("details", Text, nullable=False),
    Index("ix_security_events_action_id", "action", "id"),
)

# What each key sent, by day (UTC, days since 1970), and why some of it was refused.
ingest_ledger = Table(
    "ingest_ledger",
    metadata,
    Column("key_id", RowId, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("requests", BigInteger, nullable=False),
    Column("conversations", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("duplicate", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
)

# What was refused, by field and kind of mistake (domain/problems.py); `example` says it in words.
ingest_refusals = Table(
    "ingest_refusals",
    metadata,
    Column("key_id", RowId, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("field", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("example", Text, nullable=False),
)

# What clients said that they had changed before sending.
ingest_adjustments = Table(
    "ingest_adjustments",
    metadata,
    Column("key_id", RowId, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("field", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# What was erased for good, or is about to be: the receipt. No content, no ids but as keyed hashes.
erasures = Table(
    "erasures",
    metadata,
    Column("id", RowId, primary_key=True),
    # No foreign key: the agent may be what goes.
    Column("agent_id", RowId, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("environment", Text),
    Column("subject", LargeBinary(32)),
    # What is to go, in clear, until all of it is marked.
    Column("criterion", Text),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("counts", Text, nullable=False, server_default="{}"),
    # Since when no row of it is left, and since when no byte is.
    Column("gone_at", BigInteger),
    Column("finished_at", BigInteger),
)

# What is left of an erased conversation: enough to know it again when it is sent once more, and nothing else.
# `number` tells those who follow the store what to forget; it goes after a day.
erased = Table(
    "erased",
    metadata,
    Column("agent_id", RowId, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), primary_key=True),
    Column("erasure", RowId, nullable=False),
    Column("erased_at", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, index=True),
    Column("number", RowId),
)

# Files that lost a row to an erasure, until it has been seen whether another row names them.
erased_files = Table(
    "erased_files",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("erasure", RowId, primary_key=True, autoincrement=False),
)
