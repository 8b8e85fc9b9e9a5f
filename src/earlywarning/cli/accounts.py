"""Commands for who may come in: accounts and tokens. They work while the service runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from earlywarning.cli.place import OperatorError, load
from earlywarning.core.roles import Role
from earlywarning.runtimes.assembly import area_register
from earlywarning.settings import Settings
from earlywarning.store import Store, StoreLocked
from earlywarning.store.accounts import Accounts, Use


@contextmanager
def _accounts(settings: Settings) -> Iterator[Accounts]:
    """The accounts of the settings' store; beside a running service as a second hand in it, else as the one that makes it."""
    try:
        store = Store.open(settings.store_url, writer=True, holder="earlywarning accounts")
    except StoreLocked:
        store = Store.open(settings.store_url)
    with store:
        yield Accounts(store, settings.municipality.code)


def add_account(settings_file: Path | None, name: str, role: Role, districts: Sequence[str]) -> None:
    """Make an account, or give one a new role and link, and print the one-time link."""
    settings = load(settings_file)
    register = area_register(settings)
    if unknown := [code for code in districts if code not in register.codes]:
        raise OperatorError(f"--district {unknown[0]!r} is no area of the register; write codes such as {register.codes[-1]}")
    hours = settings.access.set_up_hours
    with _accounts(settings) as accounts:
        secret = accounts.add(name, role, districts, datetime.now(UTC), hours)
    address = settings.service.public_url.rstrip("/") or f"http://{settings.service.host}:{settings.service.port}"
    print(f"{name} ({role}) chooses a password here, once, within {hours} hours:")
    print(f"{address}/set-up/{secret}")
    if settings.access.mode == "open":
        print('Nobody has to sign in yet: write mode = "accounts" in [access] of the settings.')


def disable_account(settings_file: Path | None, name: str) -> None:
    """Let an account in no more, from this moment."""
    with _accounts(load(settings_file)) as accounts:
        if not accounts.disable(name, datetime.now(UTC)):
            raise OperatorError(f"there is no account {name!r}; see: earlywarning accounts list")
    print(f"{name} is disabled and signed out.")


def list_accounts(settings_file: Path | None) -> None:
    """Who may come in."""
    table = Table("name", "role", "districts", "state")
    with _accounts(load(settings_file)) as accounts:
        for a in accounts.every():
            state = "disabled" if a.disabled_at else "active" if a.password_hash else "waits for a password"
            table.add_row(a.name, a.role, " ".join(a.districts) or "all", state)
    Console().print(table)


def add_token(settings_file: Path | None, name: str, use: Use, source: str = "") -> None:
    """Make a token and print it, once."""
    with _accounts(load(settings_file)) as accounts:
        token = accounts.add_token(name, use, datetime.now(UTC), source)
    of = f" of the source {source} only" if source else ""
    what = f"events{of}" if use == "events" else "readers' requests" if use == "reading" else f"what the role {use} may"
    print(f"{name} sends {what} with the header `Authorization: Bearer TOKEN`. The token, which is not shown again:")
    print(token)


def revoke_token(settings_file: Path | None, name: str) -> None:
    """Let the tokens of that name in no more."""
    with _accounts(load(settings_file)) as accounts:
        if not accounts.revoke_tokens(name, datetime.now(UTC)):
            raise OperatorError(f"there is no token of {name!r} that is valid; see: earlywarning tokens list")
    print(f"The tokens of {name} are revoked.")


def list_tokens(settings_file: Path | None) -> None:
    """Which tokens there are; not the tokens themselves, of which only digests are kept."""
    table = Table("name", "may", "source", "made", "state")
    with _accounts(load(settings_file)) as accounts:
        for k in accounts.tokens():
            table.add_row(k.name, k.use, k.source or "", f"{k.created_at:%Y-%m-%d %H:%M}", "revoked" if k.revoked_at else "valid")
    Console().print(table)
