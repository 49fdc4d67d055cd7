"""Rows as the store hands them out."""

from __future__ import annotations

import msgspec


class ConversationRow(msgspec.Struct):
    """A conversation; its fields are the table's columns, in order.

    Times are in microseconds, `metadata` is JSON text.
    """

    id: int
    agent_id: int
    conversation_id: str
    name: str | None
    customer_id: str | None
    customer_ip_address: str | None
    device: str | None
    source: str | None
    language: str | None
    environment: str
    metadata: str
    country: str | None
    city: str | None
    timezone_name: str | None
    is_marked: bool
    is_deleted: bool
    is_used: bool
    is_offered: bool
    started_at: int
    ended_at: int
    deleted_at: int | None
    first_question: str | None
    messages: int
    revision: int
    begun_by: int | None
    rewritten: int = 0
