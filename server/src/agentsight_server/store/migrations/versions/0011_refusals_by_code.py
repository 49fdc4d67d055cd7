"""What was refused and adjusted, by field and code

Revision ID: 0011
Revises: 0010
"""

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# How the sentences of before began, and the codes that stand for them since. What is not among them becomes "other",
# with the sentence kept as its example.
_CODES = [
    (re.compile(said), code)
    for said, code in (
        (r"is required, or ", "required_or"),
        (r"is required", "required"),
        (r"give at least one", "nothing_given"),
        (r"is not known here", "unknown_field"),
        (r"must not be blank", "blank"),
        (r"must not be empty", "empty"),
        (r"must not contain the NUL", "nul"),
        (r"must not be before", "before"),
        (r"takes at most [\d,]+ characters", "too_long"),
        (r"(a message )?takes at most [\d,]+ (entries|files)", "too_many"),
        (r"too many form fields", "too_many"),
        (r"takes at most [\d,]+ bytes of JSON", "too_much_json"),
        (r"takes at most [\d,]+ levels|the JSON is nested", "too_deep"),
        (r"takes a whole number, at least", "at_least"),
        (r"takes a whole number, at most", "at_most"),
        (r"takes an ISO 8601 time", "time"),
        (r"takes a time ", "range"),
        (r".*take whole numbers from 0", "range"),
        (r"(number|integer value) out of range", "number"),
        (r"takes (a UUID|base64|a media type|the number of|the integer id|a JSON object as)", "format"),
        (r"(is a part of|and \w+ are parts of)", "not_a_part"),
        (r"goes without", "goes_without"),
        (r"cannot be what it is", "choice"),
        (r"takes (text|a whole number|a number|true or false|an object|a list|null)", "type"),
        (r"takes (desktop|production|end_user|positive|customer|shortened|message)", "choice"),
        (r"there is no such message", "no_such_message"),
        (r"(this conversation )?was deleted", "deleted"),
        (r"(this conversation )?was erased", "erased"),
        (r"is from before the conversation was erased", "before_erasure"),
        (r"are more than the storage", "storage_full"),
        (r"is for a key with the role", "role"),
        (r"by number is for a key", "by_number"),
        (r"platform is for a signed-in", "platform"),
        (r"\w+ takes a token with both_sides", "both_sides"),
        (r"is not signed|is no token", "bad_token"),
        (r"has run out", "token_expired"),
        (r"is for another conversation", "other_conversation"),
        (r"is not the one in the conversation token", "other_customer"),
        (r"malformed JSON", "malformed_json"),
        (r"the body is not (valid )?UTF-8", "not_utf8"),
        (r"send application/json", "media_type"),
        (r"Content-Encoding takes|the body is not gzip|the gzip body has more", "encoding"),
        (r"the gzip body is cut off", "cut_off"),
        (r"(the body (may have at most|is more than|is too large)|without a key)", "too_large"),
        (r"the body did not arrive", "too_slow"),
        (r"no such |not found|there is nothing at", "not_found"),
        (r"this address takes another method", "method"),
    )
]


def _take_apart(reason: str) -> tuple[str, str, str]:
    field, colon, said = reason.partition(": ")
    if not colon or not re.fullmatch(r"\w+", field):
        field, said = "", reason
    code = next((code for pattern, code in _CODES if pattern.match(said)), "other")
    if field == "conversation_token" and code == "required":
        code = "no_token"
    return "other" if field == "field" else field, code, said


def _table(name: str, *columns: sa.Column, key: tuple[str, ...]) -> sa.Table:
    return op.create_table(
        name,
        sa.Column("key_id", _row_id, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("key_id", "day", *key, name=op.f(f"pk_{name}")),
    )


def _texts(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _count() -> sa.Column:
    return sa.Column("count", sa.BigInteger(), nullable=False)


def _taken(columns: str, table: str) -> list[sa.Row]:
    rows = op.get_bind().execute(sa.text(f"SELECT {columns} FROM {table} ORDER BY {columns}")).all()  # noqa: S608
    op.drop_table(table)
    return list(rows)


def upgrade() -> None:
    refused: dict[tuple[int, int, str, str], dict[str, Any]] = {}
    for key_id, day, reason, count in _taken("key_id, day, reason, count", "ingest_refusals"):
        field, code, said = _take_apart(reason)
        row = refused.setdefault(
            (key_id, day, field, code),
            {"key_id": key_id, "day": day, "field": field, "code": code, "count": 0, "example": said},
        )
        row["count"] += count
    table = _table(
        "ingest_refusals", *_texts("field", "code"), _count(), *_texts("example"), key=("field", "code")
    )
    if refused:
        op.bulk_insert(table, [*refused.values()])

    adjusted = []
    for key_id, day, what, count in _taken("key_id, day, what, count", "ingest_adjustments"):
        field, _, code = what.partition(": ")
        adjusted.append({"key_id": key_id, "day": day, "field": field, "code": code, "count": count})
    table = _table("ingest_adjustments", *_texts("field", "code"), _count(), key=("field", "code"))
    if adjusted:
        op.bulk_insert(table, adjusted)


def downgrade() -> None:
    refused: dict[tuple[int, int, str], int] = {}
    for key_id, day, field, _, count, example in _taken(
        "key_id, day, field, code, count, example", "ingest_refusals"
    ):
        key = (key_id, day, f"{field}: {example}" if field else example)
        refused[key] = refused.get(key, 0) + count
    table = _table("ingest_refusals", *_texts("reason"), _count(), key=("reason",))
    if refused:
        names = ("key_id", "day", "reason", "count")
        op.bulk_insert(
            table, [dict(zip(names, (*key, count), strict=True)) for key, count in refused.items()]
        )

    rows = _taken("key_id, day, field, code, count", "ingest_adjustments")
    table = _table("ingest_adjustments", *_texts("what"), _count(), key=("what",))
    if rows:
        op.bulk_insert(
            table,
            [
                {"key_id": key_id, "day": day, "what": f"{field}: {code}", "count": count}
                for key_id, day, field, code, count in rows
            ],
        )
