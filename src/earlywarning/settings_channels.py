"""The channels of a settings file, [channels.NAME]: what each kind wants to know, and that no secret stands in clear."""

import re
from collections.abc import Callable
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Meta

from earlywarning.settings_sections import Section
from earlywarning.settings_text import address_problem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TELLTALE = re.compile(r"secret|token|password|passwd|api_?key|^key$|^sig|auth|credential", re.IGNORECASE)
_BREAKS = re.compile(r"[\r\n\0]")
_ENVIRONMENT = Annotated[
    str, Meta(pattern="^([A-Za-z_][A-Za-z0-9_]*)?$", description="the name of an environment variable, such as MAIL_PASSWORD")
]
_Label = Annotated[str, Meta(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$", description="letters, digits and _")]
_Host = Annotated[str, Meta(pattern=r"^[^\s/@:?#]+$", description="a host name without scheme or port, such as mail.example.se")]


class Channel(Section, frozen=True, kw_only=True):
    """What all kinds share.

    timeout_seconds: of one attempt. attempts: before a message is given up. retry_seconds, longest_retry_seconds: the
    first and the longest span out of which the wait before another attempt is drawn; it doubles from one to the other.
    rest_after: failures in a row after which the channel rests for rest_seconds, then tries with one message.
    secret_file: a file that holds the secret, beside the settings file; secret_env: an environment variable that does.
    """

    timeout_seconds: Annotated[float, Meta(gt=0, le=120)] = 10.0
    attempts: Annotated[int, Meta(ge=1, le=1000)] = 24
    retry_seconds: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    longest_retry_seconds: Annotated[float, Meta(gt=0, le=86400)] = 10_800.0
    rest_after: Annotated[int, Meta(ge=1, le=1000)] = 5
    rest_seconds: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    secret_file: str = ""
    secret_env: _ENVIRONMENT = ""


class EmailChannel(Channel, frozen=True, kw_only=True):
    """Mail by SMTP. secret: the password of username. sender: the From line. templates: a folder of your own templates."""

    kind: Literal["email"] = "email"
    host: _Host
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str = ""
    username: str = ""
    sender: Annotated[str, Meta(min_length=3, max_length=200)]
    reply_to: str = ""
    templates: str = ""


class WebhookChannel(Channel, frozen=True, kw_only=True):
    """A signed POST by the Standard Webhooks specification. secret: the key of the signature."""

    kind: Literal["webhook"] = "webhook"
    url: str
    ca_file: str = ""


class CapChannel(Channel, frozen=True, kw_only=True):
    """Common Alerting Protocol 1.2 by POST. secret: a bearer token, or the password of username.

    sender: the globally unique name of the sender. status: "Test" or "Exercise" while it is tried out. restriction: who
    may see it; without it, a text that says so in Swedish and English.
    """

    kind: Literal["cap"] = "cap"
    url: str
    ca_file: str = ""
    username: str = ""
    sender: Annotated[
        str, Meta(pattern=r"^[^\s,<>&]+$", description="a name without spaces, commas, < and &, such as est@example.se")
    ]
    status: Literal["Actual", "Exercise", "System", "Test", "Draft"] = "Actual"
    restriction: str = ""


class AlertmanagerChannel(Channel, frozen=True, kw_only=True):
    """Prometheus Alertmanager, API v2. secret: a bearer token, or the password of username.

    hold_days: how long an open alert stays active there when nothing more is heard of it. labels: added to each alert.
    """

    kind: Literal["alertmanager"] = "alertmanager"
    url: str
    ca_file: str = ""
    username: str = ""
    hold_days: Annotated[int, Meta(ge=1, le=366)] = 30
    labels: dict[_Label, str] = msgspec.field(default_factory=dict)


class ChatChannel(Channel, frozen=True, kw_only=True):
    """Teams, Slack, Mattermost, ntfy and the like by Apprise. secret: the service's Apprise URL."""

    kind: Literal["chat"] = "chat"


class KafkaChannel(Channel, frozen=True, kw_only=True):
    """A Kafka topic. brokers: without them, as [kafka] says, with its TLS and SASL."""

    kind: Literal["kafka"] = "kafka"
    topic: Annotated[str, Meta(pattern="^[a-zA-Z0-9._-]{1,249}$", description="letters, digits, dots, _ and hyphens")]
    brokers: Annotated[
        str, Meta(pattern="^([^\\s,]+:[0-9]+(,[^\\s,]+:[0-9]+)*)?$", description="host:port, several with commas")
    ] = ""


AnyChannel = EmailChannel | WebhookChannel | CapChannel | AlertmanagerChannel | ChatChannel | KafkaChannel
KINDS: dict[str, type[Channel]] = {
    "email": EmailChannel,
    "webhook": WebhookChannel,
    "kafka": KafkaChannel,
    "cap": CapChannel,
    "alertmanager": AlertmanagerChannel,
    "chat": ChatChannel,
}
_OUT = "a secret must not stand in the settings; put it into a file (secret_file) or an environment variable (secret_env)"


def channel_kind(name: str, item: Any, problems: list[str]) -> type[Channel] | None:
    """The kind of a channel as the file gives it, None when that cannot be told; keys that are secrets are problems."""
    key = f"channels.{name}"
    if not _NAME.fullmatch(name):
        problems.append(f"channels: {name[:40]!r} is no name of a channel; allowed: up to 64 letters, digits, _ and hyphens")
        return None
    if not isinstance(item, dict):
        problems.append(f"{key}: must be a section with keys, as in [{key}]")
        return None
    known = {f.name for kind in KINDS.values() for f in msgspec.structs.fields(kind)}
    secrets = [k for k in item if k not in known and _TELLTALE.search(k)]
    problems += [f"{key}.{k}: {_OUT}" for k in secrets]
    for k in secrets:
        del item[k]
    if "kind" not in item:
        problems.append(f"{key}.kind: is missing; allowed: {', '.join(KINDS)}")
        return None
    kind = KINDS.get(item["kind"]) if isinstance(item["kind"], str) else None
    if kind is None:
        problems.append(f"{key}.kind: {str(item['kind'])[:40]!r} is not allowed; allowed: {', '.join(KINDS)}")
    elif kind is ChatChannel and "url" in item:
        del item["url"]
        problems.append(f"{key}.url: the address of a chat holds its key, and {_OUT}")
    return kind


def channel_problems(name: str, channel: Channel) -> list[str]:
    """What the keys of a channel say that cannot work, each with its key; never a secret that was found."""
    problems = []
    if channel.secret_file and channel.secret_env:
        problems.append("secret_env: secret_file is given as well; keep one of the two")
    given = bool(channel.secret_file or channel.secret_env)
    if isinstance(channel, WebhookChannel | ChatChannel) and not given:
        what = "the key of the signature" if isinstance(channel, WebhookChannel) else "the service's Apprise URL"
        problems.append(f"secret_file: is missing; name a file, or with secret_env an environment variable, that holds {what}")
    if isinstance(channel, EmailChannel | CapChannel | AlertmanagerChannel) and channel.username and not given:
        problems.append("username: is given without a password; name its place with secret_file or secret_env")
    if isinstance(channel, EmailChannel):
        if given and not channel.username:
            problems.append("username: is missing, but there is a password")
        if channel.username and channel.security == "none":
            problems.append('security: "none" would send the password in clear; allowed with a username: starttls, tls')
        problems += [
            f"{key}: {problem}"
            for key, value in (("sender", channel.sender), ("reply_to", channel.reply_to))
            if value and (problem := mail_problem(value))
        ]
    if isinstance(channel, WebhookChannel | CapChannel | AlertmanagerChannel) and (problem := url_problem(channel.url)):
        problems.append(f"url: {problem}")
    if isinstance(channel, CapChannel) and _BREAKS.search(channel.restriction):
        problems.append("restriction: holds a line break; write it in one line")
    return [f"channels.{name}.{problem}" for problem in problems]


def url_problem(url: str) -> str:
    """Why messages cannot go to this address; empty when they can. A secret in it is refused, and not repeated."""
    try:
        parts = urlsplit(url)
        inside = parts.username is not None or any(_TELLTALE.search(k) for k, _ in parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        inside = "@" in url
    if inside:
        return f"holds a user, password or token; {_OUT}"
    return address_problem(url)


def mail_problem(written: str) -> str:
    """Why this is no mail address, with or without a name before it; empty when it is one."""
    if _BREAKS.search(written):
        return "holds a line break; a mail address stands in one line"
    example = "allowed: such as est@example.se, or Lägesbild <est@example.se>"
    _, address = parseaddr(written)
    try:
        parsed = Address(addr_spec=address)
        parsed.domain.encode("idna")  # a name such as vårby.se has a form that mail servers know, or is none
        fine = bool(parsed.username) and ("." in parsed.domain.strip(".") or parsed.domain == "localhost")
    except (ValueError, IndexError, MessageError):
        fine = False
    return "" if fine and not re.search(r"\s", address) else f"is not a mail address; {example}"


def read_channels(value: Any, folder: Path, problems: list[str], section: Callable[..., Any]) -> dict[str, AnyChannel]:
    """The channels of a file, by name. section: reads one section of a kind; folder: where their files are looked for."""
    if not isinstance(value, dict):
        problems.append("channels: must hold a section for each channel, as in [channels.mail]")
        return {}
    out: dict[str, AnyChannel] = {}
    for name, given in value.items():
        item = dict(given) if isinstance(given, dict) else given
        kind = channel_kind(name, item, problems)
        channel = section(f"channels.{name}", item, kind, problems) if kind else None
        if channel is not None:
            problems += channel_problems(name, channel)
            files = {n: getattr(channel, n, "") for n in ("secret_file", "ca_file", "templates")}
            out[name] = msgspec.structs.replace(channel, **{n: str((folder / f).absolute()) for n, f in files.items() if f})
    return out
