"""Which sender serves which kind of channel."""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from earlywarning.channels.picture import Pictures
from earlywarning.channels.sending import Sender
from earlywarning.settings_channels import (
    AlertmanagerChannel,
    AnyChannel,
    CapChannel,
    ChatChannel,
    EmailChannel,
    KafkaChannel,
    WebhookChannel,
)

KafkaOptions = Callable[[], Mapping[str, Any]]


def sender_of(
    channel: AnyChannel, *, kafka: KafkaOptions | None = None, pictures: Pictures | None = None,
    taken: MutableMapping[str, frozenset[str]] | None = None,
) -> Sender:  # fmt: skip
    """A sender for a channel; secrets are read now.

    kafka: gives how clients reach the brokers of [kafka], for channels that name none. pictures, taken (see MailSender): shared
    by mail channels.
    Raises NotNow when a secret or certificate cannot be read.
    """
    # Each kind is loaded where it is used: a webhook needs no matplotlib, mail no Apprise.
    match channel:
        case EmailChannel():
            from earlywarning.channels.mail import MailSender  # noqa: PLC0415

            return MailSender(channel, pictures, taken)
        case WebhookChannel():
            from earlywarning.channels.webhook import WebhookSender  # noqa: PLC0415

            return WebhookSender(channel)
        case CapChannel():
            from earlywarning.channels.cap import CapSender  # noqa: PLC0415

            return CapSender(channel)
        case AlertmanagerChannel():
            from earlywarning.channels.alertmanager import AlertmanagerSender  # noqa: PLC0415

            return AlertmanagerSender(channel)
        case ChatChannel():
            from earlywarning.channels.chat import ChatSender  # noqa: PLC0415

            return ChatSender(channel)
        case KafkaChannel():
            from earlywarning.channels.kafka_topic import KafkaSender  # noqa: PLC0415

            return KafkaSender(channel, kafka() if kafka else {})
