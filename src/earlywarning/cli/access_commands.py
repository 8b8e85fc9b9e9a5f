"""`earlywarning accounts` and `earlywarning tokens`: the commands' options."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from earlywarning.cli.options import SettingsFile
from earlywarning.cli.place import OperatorError

accounts_app = App(name="accounts", help="Who may sign in: make, list and disable accounts.")
tokens_app = App(name="tokens", help="Tokens of suppliers and programs: make, list and revoke them.")


@accounts_app.command(name="add")
def accounts_add(
    name: str,
    *,
    role: Literal["reader", "coordinator", "analyst", "administrator"],
    district: Annotated[
        tuple[str, ...], Parameter(negative="", help="Code of an area that it is limited to; may be repeated.")
    ] = (),
    settings: SettingsFile = None,
) -> None:
    """Make an account, or give one another role and a new link. Prints a one-time link by which a password is chosen."""
    from earlywarning.cli.accounts import add_account  # noqa: PLC0415  # a command loads only what it needs

    add_account(settings, name, role, district)


@accounts_app.command(name="disable")
def accounts_disable(name: str, *, settings: SettingsFile = None) -> None:
    """Let an account in no more; its sessions end at once."""
    from earlywarning.cli.accounts import disable_account  # noqa: PLC0415  # a command loads only what it needs

    disable_account(settings, name)


@accounts_app.command(name="list")
def accounts_list(*, settings: SettingsFile = None) -> None:
    """Who may come in."""
    from earlywarning.cli.accounts import list_accounts  # noqa: PLC0415  # a command loads only what it needs

    list_accounts(settings)


@tokens_app.command(name="add")
def tokens_add(
    supplier: str,
    *,
    reads: Annotated[bool, Parameter(help="It reads alerts, counts and metrics instead of sending events.", negative="")] = False,
    role: Annotated[
        Literal["coordinator", "analyst", "administrator"] | None,
        Parameter(help="It may what the role may, over the API: for commands with --to and for programs."),
    ] = None,
    source: Annotated[str, Parameter(help="The only source whose events it may send.")] = "",
    settings: SettingsFile = None,
) -> None:
    """Make a token for a supplier, or for a program that reads. It is shown once."""
    from earlywarning.cli.accounts import add_token  # noqa: PLC0415  # a command loads only what it needs

    if reads and role:
        raise OperatorError("--reads and --role: a role reads as well; name one of them")
    add_token(settings, supplier, role or ("reading" if reads else "events"), source)


@tokens_app.command(name="revoke")
def tokens_revoke(supplier: str, *, settings: SettingsFile = None) -> None:
    """Let the tokens of that name in no more."""
    from earlywarning.cli.accounts import revoke_token  # noqa: PLC0415  # a command loads only what it needs

    revoke_token(settings, supplier)


@tokens_app.command(name="list")
def tokens_list(*, settings: SettingsFile = None) -> None:
    """Which tokens there are."""
    from earlywarning.cli.accounts import list_tokens  # noqa: PLC0415  # a command loads only what it needs

    list_tokens(settings)
