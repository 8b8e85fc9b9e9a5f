"""Sign-in by the organisation's provider: there and back again."""

import asyncio
from datetime import UTC, datetime

import msgspec
import structlog
from litestar import Response, get
from litestar.datastructures import State

from earlywarning.runtimes.front import Front
from earlywarning.store.accounts import Accounts
from earlywarning.web.access import SESSION
from earlywarning.web.pages.frame import Asking, cookie, go, own_path, render, root_of
from earlywarning.web.provider import Begun, Provider, ProviderError

log = structlog.get_logger(__name__)
_COOKIE, _WAITS = "ew_provider", 600  # seconds that a person may take at the provider


def _provider(state: State) -> Provider:
    """One for as long as the settings stand."""
    settings = state.service.settings
    if "provider" not in state or state.provider[0] is not settings:
        state.provider = (settings, Provider(settings))
    made: Provider = state.provider[1]
    return made


def _back(request: Asking) -> str:
    service: Front = request.app.state.service
    address = service.settings.service.public_url.rstrip("/") or str(request.base_url).rstrip("/") + root_of(request)
    return f"{address}/sign-in/return"


@get("/sign-in/provider", include_in_schema=False)
async def to_provider(request: Asking, state: State) -> Response[bytes]:
    """Off to the provider."""
    if not state.service.settings.access.oidc_issuer:
        return go(request, "/sign-in")
    try:
        address, begun = await _provider(state).begin(_back(request), own_path(request.query_params.get("next", "/picture")))
    except ProviderError as error:
        return _failed(request, error)
    response = Response(b"", status_code=303, headers={"location": address})
    response.set_cookie(cookie(request, _COOKIE, msgspec.json.encode(begun).hex(), _WAITS))
    return response


@get("/sign-in/return", include_in_schema=False)
async def from_provider(request: Asking, state: State) -> Response[bytes]:
    """Back from it: a session for the account of that name, where there is one."""
    service: Front = state.service
    asked = request.query_params
    try:
        try:
            begun = msgspec.json.decode(bytes.fromhex(request.cookies.get(_COOKIE, "")), type=Begun)
        except (ValueError, msgspec.DecodeError) as error:
            raise ProviderError("no sign-in was begun in this browser") from error
        if not service.settings.access.oidc_issuer:
            raise ProviderError("no provider is named in [access]")
        name = await _provider(state).finish(_back(request), asked.get("state", ""), asked.get("code", ""), begun)
    except ProviderError as error:
        return _failed(request, error)
    accounts, now = Accounts(service.store, service.register.municipality), datetime.now(UTC)
    account = await asyncio.to_thread(accounts.account, name)
    gone = cookie(request, _COOKIE, "", 0)
    if account is None or account.disabled_at is not None:
        await asyncio.to_thread(accounts.refused, name, now)
        return render(request, "sign_in.html", status=403, target="/picture", problem="no_account", name="", cookies=[gone])
    session = await asyncio.to_thread(accounts.begin, account.name, now)
    return go(request, begun.target, [cookie(request, SESSION, session), gone])


def _failed(request: Asking, error: ProviderError) -> Response[bytes]:
    log.warning("sign-in by the provider did not come about", problem=str(error))
    return render(request, "sign_in.html", status=502, target="/picture", problem="provider_failed", name="")


BY_PROVIDER = (to_provider, from_provider)
