"""A receiver that takes half a minute for each message delays nobody else, and no event."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.channels.receivers import http_receiver
from tests.faults.clock import Clock
from tests.faults.conftest import LONG, Base, Starter, Supplier, until

CHANNEL = """
[channels.{name}]
kind = "webhook"
url = "{url}"
secret_env = "HOOK_KEY"
timeout_seconds = 60.0
[recipients.{name}]
role = "coordinator"
channel = "{name}"
at_once = "all"
digest = "none"
"""


def test_a_slow_channel_delays_neither_the_others_nor_what_comes_in(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    let_go = threading.Event()
    with http_receiver() as slow, http_receiver() as quick:

        def dawdle(_: object) -> int:
            if not let_go.is_set():
                let_go.wait(30)
            return 200

        slow.answer = dawdle
        file = town / "earlywarning.toml"
        file.write_text(
            file.read_text() + "".join(CHANNEL.format(name=n, url=r.url) for n, r in (("slow", slow), ("quick", quick)))
        )
        when = max(datetime.fromisoformat(str(e["recorded_at"])) for batch in base.live for e in batch) + timedelta(hours=1)
        clock = Clock(town, when.astimezone(UTC))  # as old news nobody would be told of it
        environment = {**clock.environment, "HOOK_KEY": "a-key-for-tests-and-nothing-else-000000"}
        service = start(town, environment=environment)
        waiting = lambda name: service.metric(f'earlywarning_outbox_messages{{channel="{name}",state="waiting"}}')  # noqa: E731
        supplier = Supplier(service, base.live)
        begun = time.monotonic()
        supplier.send_rest()
        taken = time.monotonic() - begun
        until(lambda: quick.got and waiting("quick") == 0, "delivery by the quick channel")
        done = time.monotonic() - begun
        assert not supplier.refusals
        if not LONG:
            assert not slow.got, "the slow receiver has answered already: nothing was tested"
        assert waiting("slow") >= 1
        assert service.metric('earlywarning_outbox_oldest_seconds{channel="slow"}') > 0
        assert service.client.get("/readyz").status_code == 200
        if LONG:
            most = min(3, len(quick.got))
            until(lambda: len(slow.got) >= most, f"{most} messages at 30 s each", 200)
        let_go.set()
        until(lambda: waiting("slow") == 0, "delivery by the slow channel")
        assert len(set(slow.all_keys())) == len(set(quick.all_keys()))
        service.stop()
    told(
        "a channel whose receiver takes 30 s for each message",
        seen="its messages come late, and the metrics say by how much; all others and all answers come as ever",
        well_after=0.0, seconds_until_all_was_taken=round(taken, 1), seconds_until_the_others_had_all=round(done, 1),
    )  # fmt: skip
