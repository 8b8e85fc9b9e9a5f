"""`earlywarning accounts` and `earlywarning tokens`: the commands' options."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

accounts_app = App(name="accounts", help="Who may sign in: make, list and disable accounts.")
tokens_app = App(name="tokens", help="Tokens of suppliers and programs: make, list and revoke them.")

_File = Annotated[Path | None, Parameter(name=["--settings", "-s"], help="Settings file (see README).")]


@accounts_app.command(name="add")
def accounts_add(
    name: str,
    *,
    role: Literal["reader", "coordinator", "analyst", "administrator"],
    district: Annotated[
        tuple[str, ...], Parameter(negative="", help="Code of an area that it is limited to; may be repeated.")
    ] = (),
    settings: _File = None,
) -> None:
    """Make an account, or give one another role and a new link. Prints a one-time link by which a password is chosen."""
    from earlywarning.cli.accounts import add_account  # noqa: PLC0415  # a command loads only what it needs

    add_account(settings, name, role, district)


@accounts_app.command(name="disable")
def accounts_disable(name: str, *, settings: _File = None) -> None:
    """Let an account in no more; its sessions end at once."""
    from earlywarning.cli.accounts import disable_account  # noqa: PLC0415  # a command loads only what it needs

    disable_account(settings, name)


@accounts_app.command(name="list")
def accounts_list(*, settings: _File = None) -> None:
    """Who may come in."""
    from earlywarning.cli.accounts import list_accounts  # noqa: PLC0415  # a command loads only what it needs

    list_accounts(settings)


@tokens_app.command(name="add")
def tokens_add(
    supplier: str,
    *,
    reads: Annotated[bool, Parameter(help="It reads alerts, counts and metrics instead of sending events.", negative="")] = False,
    settings: _File = None,
) -> None:
    """Make a token for a supplier, or for a program that reads. It is shown once."""
    from earlywarning.cli.accounts import add_token  # noqa: PLC0415  # a command loads only what it needs

    add_token(settings, supplier, "reading" if reads else "events")


@tokens_app.command(name="revoke")
def tokens_revoke(supplier: str, *, settings: _File = None) -> None:
    """Let the tokens of that name in no more."""
    from earlywarning.cli.accounts import revoke_token  # noqa: PLC0415  # a command loads only what it needs

    revoke_token(settings, supplier)


@tokens_app.command(name="list")
def tokens_list(*, settings: _File = None) -> None:
    """Which tokens there are."""
    from earlywarning.cli.accounts import list_tokens  # noqa: PLC0415  # a command loads only what it needs

    list_tokens(settings)
