"""What is wrong with what came in, as data: a field, a code, and what the field takes. Sentences are made here, from
the data, and nothing reads them back."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

WHOLE = "detail"
"""The name under which an answer speaks of the body or request as a whole, which has no field."""
_LONGEST_GIVEN = 60


class Code(StrEnum):
    """One kind of mistake. The names are stored in the ledger and stand in docs/errors.md: they do not change."""

    # A field and its value
    REQUIRED = "required"
    REQUIRED_OR = "required_or"
    NOTHING_GIVEN = "nothing_given"
    EXACTLY_ONE = "exactly_one"
    UNKNOWN_FIELD = "unknown_field"
    TYPE = "type"
    CHOICE = "choice"
    FORMAT = "format"
    TIME = "time"
    RANGE = "range"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    NUMBER = "number"
    BLANK = "blank"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    TOO_MUCH_JSON = "too_much_json"
    TOO_DEEP = "too_deep"
    NUL = "nul"
    SURROGATE = "surrogate"
    BEFORE = "before"
    AFTER = "after"
    NOT_A_PART = "not_a_part"
    GOES_WITHOUT = "goes_without"
    GOES_WITH = "goes_with"
    RENAMED = "renamed"
    TWICE = "twice"
    TAKEN = "taken"
    # What the store says
    NO_SUCH_MESSAGE = "no_such_message"
    DELETED = "deleted"
    ERASED = "erased"
    BEFORE_ERASURE = "before_erasure"
    CONVERSATION_REFUSED = "conversation_refused"
    STORAGE_FULL = "storage_full"
    # What a public key may not
    ROLE = "role"
    BY_NUMBER = "by_number"
    PLATFORM = "platform"
    BOTH_SIDES = "both_sides"
    NO_TOKEN = "no_token"  # noqa: S105 (a name, no secret)
    BAD_TOKEN = "bad_token"  # noqa: S105
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    OTHER_CONVERSATION = "other_conversation"
    OTHER_CUSTOMER = "other_customer"
    # The body or the request as a whole
    MALFORMED_JSON = "malformed_json"
    NOT_UTF8 = "not_utf8"
    MEDIA_TYPE = "media_type"
    ENCODING = "encoding"
    CUT_OFF = "cut_off"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    NOT_FOUND = "not_found"
    METHOD = "method"
    CONFLICT = "conflict"
    # What has no code of its own
    OTHER = "other"


class Words(NamedTuple):
    """How a code is said: with what is taken, and, where that is not known, without. What it means, for the docs."""

    means: str
    says: str
    bare: str = ""


WORDS: dict[Code, Words] = {
    Code.REQUIRED: Words("The field has to be there", "is required: {takes}", "is required"),
    Code.REQUIRED_OR: Words(
        "This field or another has to be there", "is required, or {takes}", "is required"
    ),
    Code.NOTHING_GIVEN: Words(
        "Nothing to change was named", "give at least one of {takes}", "give at least one field"
    ),
    Code.EXACTLY_ONE: Words(
        "None of several fields, or more than one", "takes exactly one of {takes}", "takes exactly one field"
    ),
    Code.UNKNOWN_FIELD: Words(
        "There is no field of that name", "is not known here; there are: {takes}", "is not known here"
    ),
    Code.TYPE: Words(
        "Another type, such as a number where text stands", "takes {takes}", "is of another type"
    ),
    Code.CHOICE: Words("None of the values that the field knows", "takes {takes}", "cannot be that"),
    Code.FORMAT: Words(
        "Text that is not written as it has to be", "takes {takes}", "is written in another way"
    ),
    Code.TIME: Words("Text that is no time", "takes an ISO 8601 time such as 2026-01-31T12:00:00Z"),
    Code.RANGE: Words("A time or a number out of range", "takes {takes}", "is out of range"),
    Code.AT_LEAST: Words(
        "A number that is too small", "takes a whole number, at least {takes}", "is too small"
    ),
    Code.AT_MOST: Words(
        "A number that is too large", "takes a whole number, at most {takes}", "is too large"
    ),
    Code.NUMBER: Words("A number such as 1e999", "holds a number that is too large to keep"),
    Code.BLANK: Words("Nothing but spaces", "must not be blank"),
    Code.EMPTY: Words("A list or a file with nothing in it", "must not be empty"),
    Code.TOO_LONG: Words("Text that is too long", "takes at most {takes} characters", "is too long"),
    Code.TOO_MANY: Words("Too many entries or files", "takes at most {takes}", "are too many"),
    Code.TOO_MUCH_JSON: Words("JSON that is too long", "takes at most {takes} bytes of JSON", "is too long"),
    Code.TOO_DEEP: Words(
        "JSON that is nested too deeply",
        "takes at most {takes} levels of nesting",
        "the JSON is nested too deeply",
    ),
    Code.NUL: Words("U+0000, which databases do not keep", "must not contain the NUL character"),
    Code.SURROGATE: Words(
        "Text that was cut in the midst of an emoji",
        "must not contain half of a surrogate pair (\\ud800 to \\udfff alone)",
    ),
    Code.BEFORE: Words("An end before its beginning", "must not be before {takes}", "is too early"),
    Code.AFTER: Words("A beginning after its end", "must not be after {takes}", "is too late"),
    Code.NOT_A_PART: Words(
        "Parts of a count that are more than the whole",
        "{takes}, which must count it as well",
        "is a part, and more than the whole",
    ),
    Code.GOES_WITHOUT: Words("Two fields that exclude each other", "goes without {takes}", "goes alone"),
    Code.GOES_WITH: Words(
        "It says more of something that is not there", "goes with {takes}", "goes not alone"
    ),
    Code.RENAMED: Words("A name from before", "is called {takes} now", "has another name now"),
    Code.TWICE: Words("A field that came twice", "is given twice, and takes one value"),
    Code.TAKEN: Words("Somebody else's already", "belongs to an account already"),
    Code.NO_SUCH_MESSAGE: Words(
        "The message is not in the conversation", "there is no such message in this conversation"
    ),
    Code.DELETED: Words("The conversation was deleted", "was deleted; it takes nothing until it is restored"),
    Code.ERASED: Words(
        "The conversation was erased", "was erased; what is from before that is not taken again"
    ),
    Code.BEFORE_ERASURE: Words(
        "An item from before its conversation was erased", "is from before the conversation was erased"
    ),
    Code.CONVERSATION_REFUSED: Words(
        "The item is right, its conversation is not", "was refused, see its errors"
    ),
    Code.STORAGE_FULL: Words(
        "Files beyond the agent's limit", "are more than the storage of this agent takes"
    ),
    Code.ROLE: Words("Not for a public key", "is for a key with the role write, not ingest"),
    Code.BY_NUMBER: Words(
        "A public key names conversations by text id",
        "by number is for a key with the role write, not ingest: name it by its text id, conversation_id",
    ),
    Code.PLATFORM: Words(
        "A public key's feedback is the customer's",
        "platform is for a signed-in person; a key's feedback is customer's",
    ),
    Code.BOTH_SIDES: Words(
        "The conversation token is for the customer's side alone",
        "{takes} takes a token with both_sides",
        "takes a token with both_sides",
    ),
    Code.NO_TOKEN: Words(
        "The key needs a conversation token",
        "is required: have it signed by your backend (X-Conversation-Token)",
    ),
    Code.BAD_TOKEN: Words("A conversation token that proves nothing", "{takes}", "is no token of this key"),
    Code.TOKEN_EXPIRED: Words(
        "A conversation token that has run out", "has run out: ask your backend for a new one"
    ),
    Code.OTHER_CONVERSATION: Words(
        "A conversation token for another conversation", "is for another conversation"
    ),
    Code.OTHER_CUSTOMER: Words(
        "Another customer than the conversation token names", "is not the one in the conversation token"
    ),
    Code.MALFORMED_JSON: Words("The body is no JSON", "malformed JSON: {takes}", "malformed JSON"),
    Code.NOT_UTF8: Words(
        "Bytes that are no UTF-8", "the body is not UTF-8 (from byte {takes} on)", "the body is not UTF-8"
    ),
    Code.MEDIA_TYPE: Words("A Content-Type that is not taken", "send application/json"),
    Code.ENCODING: Words(
        "Compression that cannot be undone", "{takes}", "the body is not gzip, as Content-Encoding says"
    ),
    Code.CUT_OFF: Words("The body ended early", "{takes}", "the body is cut off"),
    Code.TOO_LARGE: Words("The body is larger than the server takes", "{takes}", "the body is too large"),
    Code.TOO_SLOW: Words("The body did not arrive in time", "the body did not arrive in time"),
    Code.NOT_FOUND: Words("Nothing of this agent has that number", "{takes}", "not found"),
    Code.METHOD: Words("The address takes another method", "this address takes another method"),
    Code.CONFLICT: Words("What is there does not allow it now", "{takes}", "it is not as expected"),
    Code.OTHER: Words("Anything else; the example says what", "{takes}", "holds what it cannot take"),
}


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong.

    Attributes:
        field: its name, with the place in lists: `items.3.device`; empty: the whole body or request.
        code: which kind of mistake it is.
        takes: what the field takes, or a number that limits it.
        given: what came instead, in words or cut short; never kept.

    Example:
        >>> str(Problem("device", Code.CHOICE, "desktop, mobile or tablet", "'fridge'"))
        "takes desktop, mobile or tablet, not 'fridge'"
    """

    field: str
    code: Code
    takes: str | int = ""
    given: str = ""

    def __str__(self) -> str:
        said = self.rule
        if not self.given:
            return said
        return f"{said}, not {self.given[:_LONGEST_GIVEN]}{'…' if len(self.given) > _LONGEST_GIVEN else ''}"

    @property
    def rule(self) -> str:
        """The sentence without what was given: the same for the same mistake."""
        words = WORDS[self.code]
        if self.takes == "":
            return words.bare or words.says
        return words.says.format(takes=f"{self.takes:,}" if isinstance(self.takes, int) else self.takes)

    @property
    def name(self) -> str:
        """The field without its place: `device`. Empty: the whole."""
        return next((part for part in reversed(self.field.split(".")) if not part.isdigit()), self.field)


def sentences(problems: Iterable[Problem]) -> dict[str, list[str]]:
    """How an answer tells them: `{field: [what is wrong]}`.

    Example:
        >>> sentences([Problem("name", Code.TOO_LONG, 255)])
        {'name': ['takes at most 255 characters']}
    """
    told: dict[str, list[str]] = {}
    for each in problems:
        told.setdefault(each.field or WHOLE, []).append(str(each))
    return told


def either(names: Iterable[str]) -> str:
    """Names as a choice.

    Example:
        >>> either(["desktop", "mobile", "tablet"])
        'desktop, mobile or tablet'
    """
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
