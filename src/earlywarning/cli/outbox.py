"""Commands about messages: the channels and a test of each, what waits or was given up in the outbox, and another try."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earlywarning.channels.contents import Addressee, Contents
from earlywarning.channels.kinds import sender_of
from earlywarning.channels.refusals import NotNow, Undeliverable
from earlywarning.cli.place import OperatorError, find_settings, load
from earlywarning.cli.service_call import ask
from earlywarning.core.outgoing import Outgoing, TestContent, key_of
from earlywarning.locale import Names
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.settings import Settings, load_cluster_settings
from earlywarning.settings_channels import (
    AlertmanagerChannel,
    AnyChannel,
    CapChannel,
    EmailChannel,
    KafkaChannel,
    WebhookChannel,
)
from earlywarning.store import Store
from earlywarning.store.outbox import Outbox, Waiting


def list_channels(settings_file: Path | None) -> None:
    """The channels of the settings, and how many messages of each wait or were given up."""
    settings = load(settings_file)
    counts: dict[tuple[str, str], int] = {}
    if _store_exists(settings):
        with Store.open(settings.store_url) as store:
            counts = {(channel, state): n for channel, state, n in Outbox(store).counts()}
    table = Table("channel", "kind", "to", "secret", "waiting", "delivered", "dead")
    for name in sorted({*settings.channels, *(channel for channel, _ in counts)}):
        channel = settings.channels.get(name)
        told = [channel.kind, _to(channel), _secret(channel)] if channel else ["not in the settings", "", ""]
        numbers = [f"{counts.get((name, state), 0):,}" for state in ("waiting", "delivered", "dead")]
        table.add_row(*[Text(word) for word in (name, *told, *numbers)])
    Console().print(table)
    if not settings.channels:
        print("There are no channels in the settings; docs/channels.md shows one of each kind.")


def _store_exists(settings: Settings) -> bool:
    prefix = "sqlite:///"
    return not settings.store_url.startswith(prefix) or Path(settings.store_url.removeprefix(prefix)).exists()


def _to(channel: AnyChannel) -> str:
    match channel:
        case EmailChannel():
            return f"{channel.host}:{channel.port} ({channel.security})"
        case WebhookChannel() | CapChannel() | AlertmanagerChannel():
            return channel.url
        case KafkaChannel():
            return f"topic {channel.topic}"
    return ""


def _secret(channel: AnyChannel) -> str:
    """Where the secret stands; never what it is."""
    return f"in {channel.secret_env}" if channel.secret_env else f"in {channel.secret_file}" if channel.secret_file else ""


def try_channel(settings_file: Path | None, name: str, to: str, language: Literal["sv", "en"] | None) -> None:
    """Send a test message at once, past the outbox, and say what happened. Raises OperatorError when it did not go."""
    path = find_settings(settings_file)
    settings = load(path)
    channel = settings.channels.get(name)
    if channel is None:
        known = ", ".join(settings.channels) or "none"
        raise OperatorError(f"there is no channel {name!r} in {path}; there are: {known}")
    addressee = Addressee((to,)) if "@" in to else None
    if isinstance(channel, EmailChannel) and addressee is None:
        raise OperatorError(f"channel {name!r} is mail: name an address with --to, such as --to est@example.se")
    code, now = settings.municipality.code, datetime.now(UTC)
    message = Outgoing(
        key=key_of("test", name, uuid.uuid4().hex), municipality=code, channel=name, recipient="test", kind="test",
        created_at=now, body=msgspec.json.encode(TestContent(sent_by="earlywarning channels test")).decode(),
        language=language or settings.municipality.language,
    )  # fmt: skip
    names = Names.from_registers(area_register(settings), category_tree(settings))
    contents = Contents(lambda _: names, lambda *_: addressee, settings.municipality.timezone)
    try:
        sender = sender_of(channel, kafka=lambda: _kafka_options(path))
        try:
            sender.send(Waiting(0, message, 0, "waiting", now, ""), sender.render(contents.letter(message)))
        finally:
            sender.close()
    except Undeliverable as error:
        raise OperatorError(f"channel {name!r}: refused for good, repeating would not help: {error}") from None
    except NotNow as error:
        raise OperatorError(f"channel {name!r}: not delivered, a message would be tried again: {error}") from None
    print(f"channel {name!r}: delivered{f' to {to}' if to else ''}; the message's key is {message.key}.")


def _kafka_options(path: Path) -> Mapping[str, Any]:
    from earlywarning.runtimes.kafka.connection import client_options  # noqa: PLC0415  # an extra

    return client_options(load_cluster_settings(path))


def list_outbox(settings_file: Path | None, states: Sequence[str], limit: int | None, form: Literal["table", "json"]) -> None:
    """Messages, the newest first; without states, those that wait and those that were given up."""
    settings = load(settings_file)
    with Store.open(settings.store_url) as store:
        found = Outbox(store).messages(states=tuple(states) or ("waiting", "dead"), limit=limit)
    if form == "json":
        print(json.dumps([_row(w) for w in found], indent=1, ensure_ascii=False))
        return
    table = Table("id", "made", "channel", "recipient", "kind", "alert", "state", "attempts", "problem")
    for w in found:
        m = w.message
        told = (
            str(w.id),
            f"{m.created_at:%Y-%m-%d %H:%M}",
            m.channel,
            m.recipient,
            m.kind,
            m.alert_id,
            w.state,
            str(w.attempts),
            w.problem,
        )
        table.add_row(*[Text(word) for word in told])
    Console().print(table)


def _row(w: Waiting) -> dict[str, Any]:
    m = w.message
    return {
        "id": w.id, "key": m.key, "municipality": m.municipality, "channel": m.channel, "recipient": m.recipient, "kind": m.kind,
        "alert_id": m.alert_id, "created_at": m.created_at.isoformat(), "state": w.state, "attempts": w.attempts,
        "next_at": w.next_at.isoformat(), "problem": w.problem,
    }  # fmt: skip


def retry_outbox(settings_file: Path | None, numbers: Sequence[int], to: str, token_file: Path | None = None) -> None:
    """Have messages that were given up tried again; without numbers, all of them. to: a running service that is asked to."""
    if to:
        print(_retried(_ask(to, token_file, numbers)))
        return
    settings = load(settings_file)
    with Store.open(settings.store_url, writer=True, holder="earlywarning outbox retry") as store:
        outbox = Outbox(store)
        chosen = list(numbers) or [w.id for w in outbox.messages(states=["dead"])]
        done = outbox.again(chosen, datetime.now(UTC))
    print(_retried(done))


def _ask(to: str, token_file: Path | None, numbers: Sequence[int]) -> int:
    status, said = ask(to, "/v1/outbox/retry", token_file, content=msgspec.json.encode({"ids": list(numbers)}), patience=30)
    if status != 200 or not isinstance(said.get("retried"), int):
        raise OperatorError(f"the service at {to} answered {status}")
    return int(said["retried"])


def _retried(n: int) -> str:
    if not n:
        return "No message was given up; nothing is tried again."
    return f"{n:,} message{'' if n == 1 else 's'} will be tried again by the running service."
