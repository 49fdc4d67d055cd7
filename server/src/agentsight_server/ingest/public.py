"""What a public key may write, and what it is answered.

An `ingest` key stands in pages that everybody can read. So it plants nothing that would pass for the owner's own, and
is answered nothing that it did not bring itself.
"""

from __future__ import annotations

from typing import Any

import msgspec

from agentsight_server.contract.fields import clean
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.ingest import request_schemas
from agentsight_server.security import conversation_tokens
from agentsight_server.security.access import Actor
from agentsight_server.security.conversation_tokens import BadToken, Token
from agentsight_server.store.agents import KeySettings
from agentsight_server.store.append import Author, NewConversation, NewItem
from agentsight_server.store.schema import ACTION, END_USER, FEEDBACK, ITEM_KINDS, SENDERS, TOKEN_USAGE


class Receipt(msgspec.Struct):
    """What an `ingest` key is answered: the number of what it wrote, the text id that it sent, and whether this call
    began the conversation."""

    id: int
    conversation_id: str
    created: bool


class NotAllowed(Invalid):
    """403: the named fields are not this key's to write."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems, status=403)


class PublicKey:
    """An ingest key at work: judges what is written, and signs it as this key's.

    Args:
        settings: the key's. With token secrets, nothing is written without a conversation token.
        token: the one in the request's header.

    Example:
        >>> author = PublicKey.of(actor, token)   # None for a key that may do it all, and for a person
        >>> if author: author.sign(target)
    """

    def __init__(self, key_id: int, settings: KeySettings, token: str | None) -> None:
        self._key_id = key_id
        self._secrets = settings.token_secrets
        self._token = token
        self._author = Author(key_id)

    @classmethod
    def of(cls, actor: Actor, token: str | None) -> PublicKey | None:
        """The actor's key, or None where it has no such limits."""
        if actor.role != "ingest" or actor.key_id is None:
            return None
        return cls(actor.key_id, actor.settings or KeySettings(), token)

    def number(self, conversation: int | str | None) -> None:
        """Judge the `conversation` of a single call.

        Raises:
            NotAllowed: it is a number; numbers can be counted through, text ids cannot.
        """
        if isinstance(conversation, str) and conversation.strip() in request_schemas.NO_REFERENCE:
            return
        if conversation is not None:
            raise NotAllowed(Problem("conversation", Code.BY_NUMBER))

    def conversation(self, given: request_schemas.ConversationIn) -> None:
        """Judge a conversation's own fields.

        Raises:
            NotAllowed: it marks, deletes or otherwise says what only the owner's side can know.
        """
        said: dict[str, Any] = {
            "is_marked": given.is_marked or None,
            "is_offered": given.is_offered,
            "deleted_at": given.deleted_at,
        }
        wrong = [Problem(name, Code.ROLE) for name, value in said.items() if value is not None]
        if wrong:
            raise NotAllowed(*wrong)

    def sign(self, target: NewConversation, token: str | None = None) -> None:
        """Mark what is to be stored in a conversation as this key's.

        Args:
            token: the conversation's own token; None: the one in the header.

        Raises:
            NotAllowed: the key needs a token, and there is none for this conversation.
        """
        if self._secrets:
            proof = self._proof(target, token or self._token)
            target.customer_id = proof.customer_id and clean("customer_id", proof.customer_id)
            self._author = Author(self._key_id, True, not proof.both_sides)
        target.author = self._author

    def _proof(self, target: NewConversation, token: str | None) -> Token:
        try:
            proof = conversation_tokens.read(token, self._secrets, times.now())
        except BadToken as error:
            raise NotAllowed(Problem("conversation_token", error.code, error.takes)) from None
        if proof.conversation_id != target.conversation_id:
            raise NotAllowed(Problem("conversation_token", Code.OTHER_CONVERSATION))
        if target.customer_id not in (None, proof.customer_id):
            raise NotAllowed(Problem("customer_id", Code.OTHER_CUSTOMER))
        return proof

    def item(self, item: NewItem) -> None:
        """Judge an item of the conversation that was signed last.

        Raises:
            NotAllowed: see judge().
        """
        judge(self._author, item)


def judge(author: Author | None, item: NewItem) -> None:
    """Judge an item by who writes it.

    Raises:
        NotAllowed: feedback in the name of the platform; words or deeds of the agent where the token is for the
            customer's side alone.
    """
    if author is None:
        return
    if item.kind == FEEDBACK and item.detail is not None and item.detail[1] == "platform":
        raise NotAllowed(Problem("source", Code.PLATFORM))
    if not author.as_customer:
        return
    if item.kind in {ACTION, TOKEN_USAGE}:
        raise NotAllowed(Problem("type", Code.BOTH_SIDES, ITEM_KINDS[item.kind]))
    if item.sender not in {None, END_USER}:
        raise NotAllowed(Problem("sender", Code.BOTH_SIDES, SENDERS[item.sender]))
