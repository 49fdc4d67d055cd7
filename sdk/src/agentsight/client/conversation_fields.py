"""The fields of a conversation, as `get_or_create_conversation` and `initialize_conversation` take them."""

from __future__ import annotations

from agentsight.items.choices import DEVICES
from agentsight.items.validation import NAME_LENGTH, choice, metadata_text, optional_name, optional_text
from agentsight.items.validation import environment as check_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FIELDS", "check_fields"]

FIELDS = (
    "customer_id",
    "customer_ip_address",
    "device",
    "source",
    "language",
    "name",
    "environment",
    "metadata",
)


def check_fields(
    customer_id: object,
    customer_ip_address: object,
    device: object,
    source: object,
    language: object,
    name: object,
    environment: object,
    metadata: object,
) -> dict[str, Any]:
    """Those fields that were given, checked.

    Raises:
        InvalidConversationDataException: one is wrong.
    """
    fields: dict[str, Any] = {
        "customer_id": optional_name("customer_id", customer_id),
        "customer_ip_address": optional_text("customer_ip_address", customer_ip_address, NAME_LENGTH),
        "device": None if device is None or device == "" else choice("device", device, DEVICES),
        "source": optional_text("source", source, NAME_LENGTH),
        "language": optional_text("language", language, NAME_LENGTH),
        "name": optional_text("name", name, NAME_LENGTH),
        "environment": None if environment is None else check_environment(environment),
    }
    extra = metadata_text("metadata", metadata)
    if extra is not None:
        from json import loads

        fields["metadata"] = loads(extra)
    return {field: value for field, value in fields.items() if value is not None}
