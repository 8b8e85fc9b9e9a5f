"""[access]: who may look and answer, and for how long a person stays signed in."""

from typing import Annotated, Literal

from msgspec import Meta

from earlywarning.settings_sections import Section

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Access(Section, frozen=True, kw_only=True):
    """mode: "open", everybody who reaches the service may do everything, which is refused unless it listens on loopback;
    "accounts", people sign in and suppliers send tokens. idle_minutes, session_hours: when a session ends without and with use.
    set_up_hours: how long the link works by which a person chooses a password. attempts: wrong passwords in a quarter of an
    hour, of one account or from one address, until further ones are refused. oidc_issuer: the organisation's OpenID Connect
    provider, beside passwords; oidc_client_id, oidc_secret_file: as what this service is known there (the secret may be in the
    environment variable EARLYWARNING_OIDC_SECRET); oidc_claim: which claim is the account's name. settings_role: the least role
    that puts settings in force.
    """

    mode: Literal["open", "accounts"] = "open"
    idle_minutes: Annotated[int, Meta(ge=5, le=720)] = 60
    session_hours: Annotated[int, Meta(ge=1, le=72)] = 10
    set_up_hours: Annotated[int, Meta(ge=1, le=168)] = 48
    attempts: Annotated[int, Meta(ge=3, le=100)] = 8
    settings_role: Literal["analyst", "administrator"] = "administrator"
    oidc_issuer: Annotated[
        str,
        Meta(
            pattern="^(https://[^\\s@?#]+|http://(127\\.0\\.0\\.1|localhost)(:[0-9]+)?)?$",
            description="an https address, as the provider writes it itself",
        ),
    ] = ""
    oidc_client_id: str = ""
    oidc_secret_file: str = ""
    oidc_claim: Annotated[str, Meta(min_length=1)] = "preferred_username"


def open_problem(mode: str, host: str) -> str:
    """Why a service may not listen there without sign-in; empty when it may."""
    if mode != "open" or host in LOOPBACK or host.startswith("127."):
        return ""
    return (
        f'access.mode: "open" lets everybody who reaches {host} read and answer; allowed on loopback (127.0.0.1) only. Write '
        'mode = "accounts" in [access] and make accounts: earlywarning accounts add NAME --role administrator'
    )
