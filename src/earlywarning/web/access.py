"""Who is let in where: one table of routes, one look at each request. A route that is not in the table is not served."""

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import msgspec
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import Scope

from earlywarning.core.roles import Role, suffices, visible_areas
from earlywarning.runtimes.front import Front
from earlywarning.store import StoreError
from earlywarning.store.accounts import Accounts

SESSION, VISITOR = "ew_session", "ew_visitor"  # cookies
FIELD, HEADER = "csrf", "x-csrf-token"
_SAFE = ("GET", "HEAD", "OPTIONS")

Least = Role | Literal["anyone", "supplier", "link", "decider"]

# What a request must show: a role, nothing at all ("anyone"), a supplier's token, a signed link that the route itself reads, or the
# role that puts settings in force ("decider", access.settings_role).
# A route that tells of the whole municipality is closed to accounts that are limited to districts.
ROUTES: Mapping[str, tuple[Least, Literal["filtered", "whole"]]] = {
    "POST /v1/events": ("supplier", "filtered"),
    "GET /v1/alerts": ("reader", "whole"),
    "GET /v1/alerts/{alert_id:str}": ("reader", "whole"),
    "POST /v1/alerts/{alert_id:str}/answers": ("coordinator", "whole"),
    "GET /v1/learning": ("reader", "whole"),
    "GET /v1/data-quality": ("reader", "whole"),
    "GET /v1/counts": ("reader", "whole"),
    "GET /v1/areas": ("reader", "filtered"),
    "GET /v1/categories": ("reader", "filtered"),
    "GET /v1/schemas/{kind:str}": ("anyone", "filtered"),
    "GET /v1/dead-letters": ("analyst", "whole"),
    "POST /v1/dead-letters/replay": ("administrator", "whole"),
    "GET /v1/outbox": ("analyst", "whole"),
    "POST /v1/outbox/retry": ("administrator", "whole"),
    "GET /v1/mutes": ("reader", "whole"),
    "POST /v1/mutes": ("coordinator", "whole"),
    "POST /v1/mutes/{mute_id:str}/end": ("coordinator", "whole"),
    "GET /v1/feeds/atom": ("reader", "whole"),
    "GET /v1/feeds/cap": ("reader", "whole"),
    "GET /v1/feeds/calendar": ("reader", "whole"),
    "GET /v1/briefing": ("reader", "whole"),
    "POST /v1/briefing/send": ("coordinator", "whole"),
    "GET /v1/plan": ("reader", "whole"),
    "POST /v1/plan": ("administrator", "whole"),
    "GET /v1/settings": ("analyst", "whole"),
    "GET /v1/settings/versions": ("analyst", "whole"),
    "POST /v1/settings/back": ("decider", "whole"),
    "GET /v1/settings/drafts": ("analyst", "whole"),
    "POST /v1/settings/drafts": ("analyst", "whole"),
    "GET /v1/settings/drafts/{draft_id:int}": ("analyst", "whole"),
    "POST /v1/settings/drafts/{draft_id:int}": ("analyst", "whole"),
    "POST /v1/settings/drafts/{draft_id:int}/rebase": ("analyst", "whole"),
    "POST /v1/settings/drafts/{draft_id:int}/withdraw": ("analyst", "whole"),
    "POST /v1/settings/drafts/{draft_id:int}/apply": ("decider", "whole"),
    "GET /v1/lab": ("analyst", "whole"),
    "GET /v1/lab/curve": ("analyst", "whole"),
    "GET /v1/lab/surge": ("analyst", "whole"),
    "GET /v1/lab/recording": ("analyst", "whole"),
    "GET /v1/lab/known": ("analyst", "whole"),
    "GET /v1/plan/follow-up": ("reader", "whole"),
    "GET /metrics": ("reader", "whole"),
    "GET /healthz": ("anyone", "filtered"),
    "GET /readyz": ("anyone", "filtered"),
    "GET /": ("anyone", "filtered"),
    "GET /openapi.json": ("anyone", "filtered"),
    "GET /answer/{token:str}": ("link", "filtered"),
    "POST /answer/{token:str}": ("link", "filtered"),
    "GET /static/{name:str}": ("anyone", "filtered"),
    "GET /accessibility": ("anyone", "filtered"),
    "GET /sign-in": ("anyone", "filtered"),
    "POST /sign-in": ("anyone", "filtered"),
    "POST /sign-out": ("anyone", "filtered"),
    "GET /sign-in/provider": ("anyone", "filtered"),
    "GET /sign-in/return": ("anyone", "filtered"),
    "GET /set-up/{secret:str}": ("anyone", "filtered"),
    "POST /set-up/{secret:str}": ("anyone", "filtered"),
    "GET /picture": ("reader", "filtered"),
    "GET /areas/{code:str}": ("reader", "filtered"),
    "GET /alerts": ("reader", "filtered"),
    "GET /alerts/{alert_id:str}": ("reader", "filtered"),
    "POST /alerts/{alert_id:str}": ("coordinator", "filtered"),
    "GET /live": ("reader", "filtered"),
    "GET /plan": ("reader", "whole"),
    "POST /plan": ("administrator", "whole"),
    "GET /briefing": ("reader", "whole"),
    "GET /operations": ("analyst", "whole"),
    "GET /lab": ("analyst", "whole"),
    "POST /lab/recording": ("analyst", "whole"),
    "GET /lab/export": ("analyst", "whole"),
    "GET /lab/known": ("analyst", "whole"),
    "POST /lab/known": ("analyst", "whole"),
    "GET /lab/known/export": ("analyst", "whole"),
    "GET /settings": ("analyst", "whole"),
    "POST /settings/back": ("decider", "whole"),
    "POST /settings/drafts": ("analyst", "whole"),
    "GET /settings/drafts/new": ("analyst", "whole"),
    "GET /settings/drafts/{draft_id:int}": ("analyst", "whole"),
    "POST /settings/drafts/{draft_id:int}": ("analyst", "whole"),
    "POST /settings/drafts/{draft_id:int}/apply": ("decider", "whole"),
    "GET /dead-letters": ("analyst", "whole"),
    "POST /dead-letters": ("administrator", "whole"),
    "GET /accounts": ("administrator", "whole"),
    "POST /accounts": ("administrator", "whole"),
}


# Threads of their own: events are not to wait at the door while pages that are drawn hold those that all share.
_RECOGNISING = ThreadPoolExecutor(4, thread_name_prefix="recognising")


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. name: of the account, or what answers are signed with in open mode. role: None for nobody in particular.

    areas: codes that the visitor sees. token: use of the token that the request carries. source: whose events alone it may send,
    empty for all. secret: of the cookie that forms are
    bound to. fresh: the cookie has yet to be set.
    """

    name: str = ""
    role: Role | None = None
    areas: frozenset[str] = frozenset()
    limited: bool = False
    token: str = ""
    source: str = ""
    secret: str = ""
    fresh: bool = False
    signed_in: bool = False

    @property
    def csrf(self) -> str:
        """What a form of this visitor carries: no other site can read or guess it."""
        return hmac.new(self.secret.encode(), b"form", "sha256").hexdigest()

    def sees(self, areas: tuple[str, ...]) -> bool:
        """Whether an alert about these areas is the visitor's to see: one that reaches beyond them is not."""
        return not self.limited or set(areas) <= self.areas


class Recognition(AbstractAuthenticationMiddleware):
    """Finds out who asks, from cookie or token; lets everybody on, the guard decides."""

    def __init__(self, app: Any) -> None:
        super().__init__(app, scopes={ScopeType.HTTP})

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """The visitor as `request.user`."""
        return AuthenticationResult(user=await recognised(connection), auth=None)


async def recognised(connection: ASGIConnection[Any, Any, Any, Any]) -> Visitor:
    """Who asks. Raises StoreError."""
    service: Front = connection.app.state.service
    given = service, connection.cookies, connection.headers.get("authorization", "")
    if service.settings.access.mode == "open":
        return recognise(*given)  # nothing is read for it
    return await asyncio.get_running_loop().run_in_executor(_RECOGNISING, recognise, *given)


async def recognise_at_no_route(error: Exception, scope: Scope) -> None:
    """Find out who asked for an address that is not there, for the menu of the page that says so: no middleware looks there."""
    if not isinstance(error, HTTPException) or scope["type"] != ScopeType.HTTP or scope.get("user") is not None:
        return
    with suppress(StoreError):
        visitor = await recognised(ASGIConnection(scope))
        scope["user"] = msgspec.structs.replace(visitor, fresh=False)  # no cookie for who was only lost


def recognise(service: Front, cookies: Mapping[str, str], authorization: str) -> Visitor:
    """Who a request's cookies and token say that it is. Raises StoreError."""
    known = cookies.get(VISITOR, "")
    fresh = len(known) < 32
    secret = secrets.token_urlsafe(32) if fresh else known
    if service.settings.access.mode == "open":
        every = frozenset(service.register.codes)
        return Visitor(name="", role="administrator", areas=every, secret=secret, fresh=fresh, token="events")  # noqa: S106
    accounts = Accounts(service.store, service.register.municipality)
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "bearer" and (token := accounts.of_token(given.strip())) is not None:
        every = frozenset(service.register.codes)
        return Visitor(name=token.name, role=token.role, areas=every, token=token.use, source=token.source or "")
    if session := cookies.get(SESSION, ""):
        chosen = service.settings.access
        idle, longest = timedelta(minutes=chosen.idle_minutes), timedelta(hours=chosen.session_hours)
        if (account := accounts.of_session(session, datetime.now(UTC), idle, longest)) is not None:
            areas = visible_areas(service.register, account.districts)
            return Visitor(
                name=account.name, role=account.role, areas=areas, limited=bool(account.districts), secret=session, signed_in=True
            )
    return Visitor(secret=secret, fresh=fresh)


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request on to its route, or not. Raises NotAuthorizedException, PermissionDeniedException."""
    method = str(connection.scope.get("method", "GET"))
    if method == "OPTIONS":  # which methods an address takes is no secret, and nobody was looked for
        return
    visitor: Visitor = connection.user
    least, shown = ROUTES[route_key(handler, method)]
    if least == "supplier":
        if visitor.token != "events":  # noqa: S105  # a use, not a secret
            raise NotAuthorizedException("events are taken with a supplier's token: Authorization: Bearer ...")
    elif least not in ("anyone", "link"):
        if visitor.role is None:
            raise NotAuthorizedException("sign in first")
        needed = decider(connection.app.state.service) if least == "decider" else cast("Role", least)
        if not suffices(visitor.role, needed):
            raise PermissionDeniedException(f"this needs the role {needed}", extra={"why": "role", "role": needed})
        if shown == "whole" and visitor.limited:
            said = "this tells of the whole municipality, and the account is limited to districts"
            raise PermissionDeniedException(said, extra={"why": "limited"})
    if method not in _SAFE and least not in ("supplier", "link"):
        await _own_form(connection, visitor)
    elif method not in _SAFE:
        _own_site(connection)


def decider(service: Front) -> Role:
    """The least role that puts settings in force."""
    return service.settings.access.settings_role


def check_table(app: Litestar) -> None:
    """Raises RuntimeError for a route that the table does not name: it would be served to nobody, or worse."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods - {"OPTIONS"}:
                if handler.owner is app and route_key(handler, method) not in ROUTES:
                    raise RuntimeError(
                        f"web/access.py: the route {route_key(handler, method)} is missing in ROUTES; say who may use it"
                    )


def route_key(handler: BaseRouteHandler, method: str) -> str:
    """A route as the table names it."""
    return f"{'GET' if method == 'HEAD' else method} {min(handler.paths)}"


def _own_site(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Refuse what a browser was made to send by another site; programs say nothing of where they come from."""
    came = connection.headers.get("sec-fetch-site", "same-origin")
    origin = connection.headers.get("origin", "")
    service: Front = connection.app.state.service
    own = {connection.headers.get("host", ""), urlsplit(service.settings.service.public_url).netloc}
    foreign = origin not in ("", "null") and urlsplit(origin).netloc not in own
    if came not in ("same-origin", "none") or (foreign and "sec-fetch-site" not in connection.headers):
        raise PermissionDeniedException("another site asked for this", extra={"why": "old_form"})


async def _own_form(connection: ASGIConnection[Any, Any, Any, Any], visitor: Visitor) -> None:
    """Refuse a change that does not come from a form of ours. A program at the API has neither cookie nor form."""
    _own_site(connection)
    if str(connection.scope["path"]).startswith("/v1/") and not visitor.signed_in:
        return
    given = connection.headers.get(HEADER, "")
    if not given and isinstance(connection, Request):
        given = str((await connection.form()).get(FIELD, ""))
    if not hmac.compare_digest(given.encode(), visitor.csrf.encode()):
        said = "the form is too old; load the page again and send it once more"
        raise PermissionDeniedException(said, extra={"why": "old_form"})
