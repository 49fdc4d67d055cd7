"""Who is asking, and the document that describes the API."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get

from agentsight_server.contract.documentation import Doc, document
from agentsight_server.contract.published import Shelf, answer, known_address
from agentsight_server.http.answers import answer_json
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security.access import Access
from agentsight_server.store import agents


class AgentName(msgspec.Struct):
    """An agent."""

    id: int
    name: str


class PersonName(msgspec.Struct):
    """A signed-in person."""

    email: str
    name: str


class Me(msgspec.Struct):
    """The caller: a key's agent, or a person's agents."""

    agent: AgentName | None
    role: str
    environments: list[str]
    agents: list[AgentName]
    person: PersonName | None = None


@get("/api/me", opt={"access": Access.ANY, "doc": Doc("Who am I", "Reading", None, {200: Me})})
async def me(request: AnyRequest) -> Response[bytes]:
    """The key's agent, role and environments; works with every key."""
    actor = actor_of(request)
    rows = await services_of(request).read(lambda c: agents.listing(c, actor.agent_ids))
    names = [AgentName(row.id, row.name) for row in rows]
    person = actor.person
    return answer_json(
        Me(
            next((each for each in names if each.id == actor.agent_id), None),
            actor.role,
            ["production", "development"],
            names,
            PersonName(person.email, person.name) if person else None,
        )
    )


@get("/api/openapi.json", opt={"access": Access.PUBLIC})
async def openapi(request: AnyRequest) -> Response[bytes]:
    """The OpenAPI 3.1 document."""
    address = known_address(request)
    shelf: Shelf = request.app.state.shelf

    def build() -> bytes:
        routes: list[Any] = request.app.state.documented
        return msgspec.json.encode(document(routes, address or "/"))

    return answer(request, shelf.get(("openapi", address), build), "application/json")


handlers = [me, openapi]
