"""Signing in and out, the first account, and the choice of colours."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath
from sqlalchemy import Connection

from agentsight_server.dashboard.pages.page import (
    THEME_COOKIE,
    public_context,
    redirect,
    render_page,
    safe_address,
)
from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.http.app_state import services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security import audit, devices, passwords, sessions
from agentsight_server.security.access import Access
from agentsight_server.security.origin import is_foreign
from agentsight_server.store import people

_PUBLIC: dict[str, Any] = {"access": Access.PUBLIC}
_YEAR = 365 * 86_400
_over_all_addresses = sessions.LoginThrottle(limit=60)
_once_a_minute = sessions.LoginThrottle(limit=1, seconds=60)


async def _fields(request: AnyRequest) -> dict[str, str]:
    """The text fields of a form; files and all else left out."""
    form = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}


@get("/sign-in", opt=_PUBLIC)
async def sign_in_page(request: AnyRequest) -> Response[str]:
    """The form."""
    goal = safe_address(request.query_params.get("next"))
    if request.state.actor is not None:
        return redirect(goal, request)
    none_yet = await services_of(request).read(lambda connection: people.count(connection) == 0)
    return render_page(
        "pages/sign_in.html",
        public_context(request) | {"next": goal, "email": "", "problem": None, "first_start": none_yet},
    )


@post("/sign-in", opt=_PUBLIC)
async def sign_in(request: AnyRequest) -> Response[str]:
    """Check the password and open a session."""
    fields = await _fields(request)
    email, password = fields.get("email", "").strip().lower(), fields.get("password", "")
    goal = safe_address(fields.get("next"))
    services = services_of(request)
    problem, status = "The email or the password is wrong.", 400
    try:
        # Signing somebody in to a stranger's account is an attack, too.
        if is_foreign(request.headers, services.settings.public_url):
            raise RequestError(403, {"detail": "the form came from another site"})
        found = await _checked(request, email, password)
        if found is not None:
            return await _signed_in(request, found, email, goal)
        await services.note(audit.event_of(request, "sign_in_failed", who=email))
    except RequestError as error:
        problem, status = str(error.body.get("detail", problem)).capitalize() + ".", error.status
    return render_page(
        "pages/sign_in.html",
        public_context(request) | {"next": goal, "email": email, "problem": problem, "first_start": False},
        status,
    )


async def _checked(request: AnyRequest, email: str, password: str) -> int | None:
    """The number of the person whose password it is."""
    services = services_of(request)
    # The one who guesses is stopped early; a whole office behind one address, or an account that many addresses
    # guess at, only after many failures. A browser that its owner has signed in from before stands apart from both.
    caller = request.client.host if request.client else ""
    device = devices.known(services.signer, request.cookies.get(devices.COOKIE, ""), email)
    near = f"{email[:255]} from {caller}" if device is None else f"device:{device}"
    far = (f"email:{email[:255]}", f"caller:{caller}") if device is None else ()
    try:
        services.login_throttle.check(near)
        _over_all_addresses.attempt(*far)
        services.login_throttle.attempt(near)
    except RequestError:
        with suppress(RequestError):  # once a minute says it, and costs those who are stopped nothing
            _once_a_minute.attempt(caller)
            await services.note(audit.event_of(request, "sign_in_braked", who=email))
        raise
    try:
        found = await services.look_up(lambda connection: people.credentials(connection, email))
        known = found[1] if found else None
        matches = await services.executors.passwords.run(lambda: passwords.matches(password, known))
    except BaseException:  # it was never judged
        services.login_throttle.take_back(near)
        _over_all_addresses.take_back(*far)
        raise
    if not matches or found is None:
        return None
    services.login_throttle.succeeded(near)
    _over_all_addresses.take_back(*far)
    return found[0]


@post("/sign-out", opt={"access": Access.PERSON})
async def sign_out(request: AnyRequest) -> Response[str]:
    """End the session."""
    hashed = sessions.hash_token(request.cookies.get(sessions.COOKIE, ""))
    await services_of(request).write(
        lambda connection, _: people.close_session(connection, hashed),
        event=audit.event_of(request, "sign_out"),
    )
    answer = redirect("/sign-in", request)
    answer.delete_cookie(sessions.COOKIE, path="/")
    return answer


@get("/welcome/{token:str}", opt=_PUBLIC)
async def welcome_page(request: AnyRequest, token: FromPath[str]) -> Response[str]:
    """The form for the first account, while its link works."""
    return await _welcome(request, token, {}, {})


@post("/welcome/{token:str}", opt=_PUBLIC)
async def welcome(request: AnyRequest, token: FromPath[str]) -> Response[str]:
    """Make the first account, use the link up, and sign in."""
    fields = await _fields(request)
    hashed = sessions.hash_token(token)

    def work(connection: Connection, _: int) -> int | None:
        if people.count(connection) or not people.link_works(connection, hashed, sessions.FIRST_ACCOUNT):
            return None
        number = sessions.create_person(
            connection,
            email=fields.get("email", ""),
            name=fields.get("name", ""),
            password=fields.get("password", ""),
        )
        people.use_link(connection, hashed, sessions.FIRST_ACCOUNT)
        return number

    try:
        number = await services_of(request).write(
            work,
            event=lambda made: (
                None
                if made is None
                else audit.event_of(request, "first_account", who=fields.get("email", ""), person_id=made)
            ),
        )
    except Invalid as error:
        problems = {name: texts[0] for name, texts in error.errors.items()}
        return await _welcome(request, token, fields, problems, 400)
    if number is None:
        return await _welcome(request, token, {}, {}, 410)
    return await _signed_in(request, number, fields.get("email", ""), "/")


async def _welcome(
    request: AnyRequest, token: str, values: dict[str, str], problems: dict[str, str], status: int = 200
) -> Response[str]:
    def works(connection: Connection) -> bool:
        hashed = sessions.hash_token(token)
        return not people.count(connection) and people.link_works(connection, hashed, sessions.FIRST_ACCOUNT)

    names = ("name", "email", "password")
    least = f"At least {passwords.MINIMUM_LENGTH} characters."
    context = public_context(request) | {
        "works": await services_of(request).read(works),
        "fields": (
            ("name", "Your name", "text", "name", ""),
            ("email", "Email", "email", "username", ""),
            ("password", "Password", "password", "new-password", least),
        ),
        "values": {name: values.get(name, "") for name in names},
        "problems": {name: problems.get(name) for name in names},
    }
    return render_page("pages/welcome.html", context, status if context["works"] or status != 200 else 410)


async def _signed_in(request: AnyRequest, person_id: int, email: str, goal: str) -> Response[str]:
    services = services_of(request)
    days = services.settings.session_days
    token = await services.write(
        lambda connection, _: sessions.open_session(connection, person_id, days),
        event=audit.event_of(request, "sign_in", who=email.strip().lower(), person_id=person_id),
    )
    answer = redirect(goal, request)
    answer.set_cookie(
        Cookie(
            sessions.COOKIE,
            value=token,
            max_age=days * 86_400,
            path="/",
            httponly=True,
            samesite="lax",
            secure=_is_https(request),
        )
    )
    answer.set_cookie(
        Cookie(
            devices.COOKIE,
            value=devices.remember(services.signer, email),
            max_age=devices.SECONDS,
            path="/sign-in",
            httponly=True,
            samesite="lax",
            secure=_is_https(request),
        )
    )
    return answer


@post("/theme", opt={"access": Access.PERSON})
async def theme(request: AnyRequest) -> Response[str]:
    """Remember light, dark, or what the system says; with scripts the page sets the cookie itself."""
    fields = await _fields(request)
    answer = redirect(safe_address(fields.get("next")), request)
    chosen = fields.get("theme")
    if chosen in {"light", "dark"}:
        answer.set_cookie(
            Cookie(
                THEME_COOKIE,
                value=chosen,
                max_age=_YEAR,
                path="/",
                samesite="lax",
                secure=_is_https(request),
            )
        )
    else:
        answer.delete_cookie(THEME_COOKIE, path="/")
    return answer


def _is_https(request: AnyRequest) -> bool:
    public = services_of(request).settings.public_url
    return (public or str(request.base_url)).startswith("https://")


handlers = [sign_in_page, sign_in, sign_out, welcome_page, welcome, theme]
