"""Sign-in, sign-out, the one-time set-up link, and the page of accounts."""

import asyncio
from datetime import UTC, datetime, timedelta

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from earlywarning.core.roles import ROLES
from earlywarning.locale.pages import page_text
from earlywarning.runtimes.front import Front
from earlywarning.store.accounts import USES, AccountError, Accounts
from earlywarning.store.attempts import Attempts
from earlywarning.web.access import SESSION
from earlywarning.web.pages.frame import Asking, cookie, form_of, go, language_of, own_path, render, root_of
from earlywarning.web.passwords import LEAST, MOST, fits, hashed, hashing

_ADDRESS_MORE = 5  # times as many wrong passwords from one address, behind which a whole office may sit


def _accounts(service: Front) -> Accounts:
    return Accounts(service.store, service.register.municipality)


@get("/sign-in", include_in_schema=False, sync_to_thread=False)
def sign_in_page(request: Asking) -> Response[bytes]:
    """The form; who is signed in already goes on."""
    target = own_path(request.query_params.get("next", "/picture"))
    if request.user.role is not None:
        return go(request, target)
    return render(request, "sign_in.html", target=target, problem="", name="")


@post("/sign-in", include_in_schema=False)
async def sign_in(request: Asking, state: State) -> Response[bytes]:
    """Check name and password; the same words for a wrong name as for a wrong password."""
    service: Front = state.service
    attempts = Attempts(service.store, service.register.municipality)
    form = await form_of(request)
    name, password = form.get("name", "").strip()[:80], form.get("password", "")[: MOST + 1]
    target = own_path(form.get("next", "/picture"))
    address = request.client.host if request.client else ""
    most = service.settings.access.attempts
    keys = f"name:{name.casefold()}", f"address:{address}"
    now = datetime.now(UTC)
    if not await asyncio.to_thread(attempts.begin, now, {keys[0]: most, keys[1]: most * _ADDRESS_MORE}):
        return render(request, "sign_in.html", status=429, target=target, problem="too_many", name=name)
    accounts = _accounts(service)
    account = await asyncio.to_thread(accounts.account, name)
    kept = account.password_hash if account is not None and account.disabled_at is None else None
    right = await asyncio.get_running_loop().run_in_executor(hashing, fits, kept, password)
    if account is None or not right:
        await asyncio.to_thread(accounts.refused, name, now)
        return render(request, "sign_in.html", status=403, target=target, problem="wrong", name=name)
    await asyncio.to_thread(attempts.forgive, now, keys[0], (keys[1],))
    await asyncio.to_thread(accounts.sweep, now, timedelta(hours=service.settings.access.session_hours))
    session = await asyncio.to_thread(accounts.begin, account.name, now)
    return go(request, target, [cookie(request, SESSION, session)])


@post("/sign-out", include_in_schema=False)
async def sign_out(request: Asking, state: State) -> Response[bytes]:
    """End the session here and in the store."""
    if session := request.cookies.get(SESSION, ""):
        await asyncio.to_thread(_accounts(state.service).end, session)
    return go(request, "/sign-in", [cookie(request, SESSION, "", 0)])


@get("/set-up/{secret:str}", include_in_schema=False)
async def set_up_page(request: Asking, state: State, secret: FromPath[str]) -> Response[bytes]:
    """Choose a password, once."""
    account = await asyncio.to_thread(_accounts(state.service).of_set_up, secret, datetime.now(UTC))
    if account is None:
        return render(request, "set_up.html", status=410, account=None, problem="", least=LEAST)
    return render(request, "set_up.html", account=account, problem="", least=LEAST)


@post("/set-up/{secret:str}", include_in_schema=False)
async def set_up(request: Asking, state: State, secret: FromPath[str]) -> Response[bytes]:
    """Keep the password and sign in."""
    accounts = _accounts(state.service)
    now = datetime.now(UTC)
    form = await form_of(request)
    password = form.get("password", "")
    account = await asyncio.to_thread(accounts.of_set_up, secret, now)
    if account is None:
        return render(request, "set_up.html", status=410, account=None, problem="", least=LEAST)
    problem = ""
    if not LEAST <= len(password) <= MOST or password.casefold() == account.name.casefold():
        problem = "short"
    elif password != form.get("again", ""):
        problem = "differ"
    if problem:
        return render(request, "set_up.html", status=422, account=account, problem=problem, least=LEAST)
    kept = await asyncio.get_running_loop().run_in_executor(hashing, hashed, password)
    if await asyncio.to_thread(accounts.set_password, secret, kept, now) is None:
        return render(request, "set_up.html", status=410, account=None, problem="", least=LEAST)
    session = await asyncio.to_thread(accounts.begin, account.name, now)
    return go(request, "/picture", [cookie(request, SESSION, session)])


@get("/accounts", include_in_schema=False)
async def accounts_page(request: Asking, state: State) -> Response[bytes]:
    """Who may come in."""
    return await asyncio.to_thread(lambda: _accounts_page(request, state.service))


@post("/accounts", include_in_schema=False)
async def change_accounts(request: Asking, state: State) -> Response[bytes]:
    """Add an account, give one a new link, let one in no more; add or revoke a token."""
    service: Front = state.service
    form = await form_of(request)
    return await asyncio.to_thread(_change, request, service, form)


def _change(request: Asking, service: Front, form: dict[str, str]) -> Response[bytes]:
    accounts, now = _accounts(service), datetime.now(UTC)
    name, action = form.get("name", "").strip(), form.get("action", "")
    shown = problem = ""
    try:
        if action == "add":
            role = next((r for r in ROLES if r == form.get("role")), ROLES[0])
            districts = [d for d in form.get("districts", "").replace(",", " ").split() if d]
            if unknown := [d for d in districts if d not in service.register.codes]:
                raise AccountError("area", f"{unknown[0]!r} is no area of the register", unknown[0][:40])
            secret = accounts.add(name, role, districts, now, service.settings.access.set_up_hours)
            address = service.settings.service.public_url.rstrip("/") or str(request.base_url).rstrip("/") + root_of(request)
            shown = f"{address}/set-up/{secret}"
        elif action == "disable" and name != request.user.name:
            accounts.disable(name, now)
        elif action == "token":
            use = next((u for u in USES if u == form.get("use")), USES[0])
            shown = accounts.add_token(name, use, now, form.get("source", "").strip())
        elif action == "revoke":
            accounts.revoke_tokens(name, now)
    except AccountError as error:
        problem = page_text(language_of(request), "account_problem", error.rule, value=error.value)
    return _accounts_page(request, service, shown=shown, action=action, problem=problem, status=422 if problem else 200)


def _accounts_page(
    request: Asking, service: Front, *, shown: str = "", action: str = "", problem: str = "", status: int = 200
) -> Response[bytes]:
    accounts = _accounts(service)
    districts = [(c, n) for c, n, level in zip(service.register.codes, service.register.names, service.register.levels, strict=True)
                 if level == 1]  # fmt: skip
    return render(
        request, "accounts.html", status=status, here="accounts", accounts=accounts.every(), tokens=accounts.tokens(),
        roles=ROLES, uses=USES,
        districts=districts, names=dict(zip(service.register.codes, service.register.names, strict=True)),
        shown=shown, action=action, problem=problem, hours=service.settings.access.set_up_hours,
        now=datetime.now(UTC),
    )  # fmt: skip


ENTRANCE = (sign_in_page, sign_in, sign_out, set_up_page, set_up, accounts_page, change_accounts)
