"""What tests of channels share: a store with an outbox, receivers, and a delivery that ends with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from earlywarning.channels import Delivery
from earlywarning.core.outgoing import Outgoing
from earlywarning.monitoring import Metrics
from earlywarning.settings_channels import AnyChannel, EmailChannel, WebhookChannel
from earlywarning.store import Store
from earlywarning.store.outbox import Outbox, Waiting
from tests.channels.messages import CONTENTS
from tests.channels.receivers import HttpReceiver, MailReceiver, http_receiver, mail_receiver

SIGNING_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Post:
    """An outbox and its delivery."""

    def __init__(self, store: Store) -> None:
        self.store, self.outbox, self.metrics = store, Outbox(store), Metrics()
        self.delivery: Delivery | None = None

    def put(self, *messages: Outgoing) -> None:
        self.store.commit(None, also=[self.outbox.put(messages)])
        if self.delivery:
            self.delivery.wake()

    def start(self, **channels: AnyChannel) -> Delivery:
        self.delivery = Delivery(self.store, channels, CONTENTS, self.metrics)
        self.delivery.start()
        return self.delivery

    def states(self) -> list[str]:
        return [w.state for w in self.all()]

    def all(self) -> list[Waiting]:
        return self.outbox.messages()[::-1]

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}", writer=True) as opened:
        yield opened


@pytest.fixture
def post(store: Store) -> Iterator[Post]:
    made = Post(store)
    yield made
    if made.delivery:
        made.delivery.stop(5)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as made:
        yield made


@pytest.fixture
def mailbox() -> Iterator[tuple[MailReceiver, int]]:
    with mail_receiver() as made:
        yield made


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, receiver: HttpReceiver) -> Callable[..., WebhookChannel]:
    """Makes a webhook channel to the receiver that tries again at once."""
    monkeypatch.setenv("HOOK_KEY", SIGNING_KEY)
    return lambda **given: webhook(receiver.url, **given)


def webhook(url: str, **given: Any) -> WebhookChannel:
    quick: dict[str, Any] = {
        "url": url, "secret_env": "HOOK_KEY", "timeout_seconds": 0.5, "retry_seconds": 0.01, "longest_retry_seconds": 0.02,
        "rest_seconds": 0.05,
    }  # fmt: skip
    return WebhookChannel(**{**quick, **given})


@pytest.fixture
def mail(mailbox: tuple[MailReceiver, int]) -> Callable[..., EmailChannel]:
    """Makes a mail channel to the mailbox."""
    quick: dict[str, Any] = {
        "host": "127.0.0.1", "port": mailbox[1], "security": "none", "sender": "Lägesbild <est@testby.example>",
        "timeout_seconds": 5, "retry_seconds": 0.01, "longest_retry_seconds": 0.02, "rest_seconds": 0.05,
    }  # fmt: skip
    return lambda **given: EmailChannel(**{**quick, **given})
