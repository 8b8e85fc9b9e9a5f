"""10,000 messages of the outbox to three channels, of which one is down: how long the healthy ones take, and memory.

PYTHONPATH=src python benchmarks/outbox.py [--messages 10000] [--alerts 50] [--mail]

The receivers run in a process of their own on the same machine. Messages are alerts with all their facts, each for many
recipients; with --mail one of the healthy channels is mail with pictures, else both are webhooks and 100 more go as mail.
"""

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import structlog

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from earlywarning.channels import Addressee, Contents, Delivery  # noqa: E402  # the path comes first
from earlywarning.core.outgoing import Outgoing, key_of  # noqa: E402
from earlywarning.monitoring import Metrics  # noqa: E402
from earlywarning.settings_channels import EmailChannel, WebhookChannel  # noqa: E402
from earlywarning.store import Store  # noqa: E402
from earlywarning.store.outbox import Outbox  # noqa: E402
from tests.channels.messages import CODE, MADE, TOWN, content  # noqa: E402

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RECEIVERS = """
import sys, threading
sys.path[:0] = sys.argv[1:3]
from tests.channels.receivers import http_receiver, mail_receiver
with http_receiver() as hook, mail_receiver() as (mails, port):
    print(hook.port, port, flush=True)
    sys.stdin.readline()
    print(len(set(hook.all_keys())), len({m["X-Earlywarning-Key"] for m in mails.mails}), flush=True)
"""


def messages(channel: str, n: int, alerts: int) -> list[Outgoing]:
    """n messages about so many alerts that differ, each for many recipients, with links of their own as signed ones are."""
    about = [content(i, of={"observed": 14.0 + i % 20, "expectation": 3.0 + i / alerts}) for i in range(alerts)]
    made = []
    for i in range(n):
        links = {a: f"https://est.example/answer/{i}/{a}?token={i:060}" for a in ("open", "acknowledge", "false-alarm")}
        body = msgspec.json.encode(msgspec.structs.replace(about[i % alerts], links=links)).decode()
        made.append(
            Outgoing(
                key=key_of(channel, str(i)), municipality=CODE, channel=channel, recipient=f"r{i // alerts}", kind="alert",
                created_at=MADE, alert_id=f"{CODE}-{i % alerts}", body=body,
            )
        )  # fmt: skip
    return made


def unused_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--alerts", type=int, default=50)
    parser.add_argument("--mail", action="store_true")
    chosen = parser.parse_args()
    os.environ["HOOK_KEY"] = KEY
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    receivers = subprocess.Popen(
        [sys.executable, "-c", RECEIVERS, str(ROOT / "src"), str(ROOT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert receivers.stdin
    assert receivers.stdout
    hook_port, mail_port = receivers.stdout.readline().split()
    hook = WebhookChannel(url=f"http://127.0.0.1:{hook_port}/in", secret_env="HOOK_KEY")  # noqa: S106  # a variable's name
    mail = EmailChannel(host="127.0.0.1", port=int(mail_port), security="none", sender="Lägesbild <est@testby.example>")
    down = WebhookChannel(url=f"http://127.0.0.1:{unused_port()}/in", secret_env="HOOK_KEY")  # noqa: S106  # likewise
    channels = {"first": hook, "second": mail if chosen.mail else hook, "down": down}
    each = chosen.messages // 3
    shares = {"first": each, "second": each, "down": chosen.messages - 2 * each}
    if not chosen.mail:
        channels["mail"], shares["mail"] = mail, 100
    contents = Contents(lambda _: TOWN, lambda *_: Addressee(("group@testby.example",)))
    with tempfile.TemporaryDirectory() as folder, Store.open(f"sqlite:///{folder}/store.db", writer=True) as store:
        outbox = Outbox(store)
        for name, n in shares.items():
            store.commit(None, also=[outbox.put(messages(name, n, chosen.alerts))])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        delivery = Delivery(store, channels, contents, Metrics())
        begun, done = time.perf_counter(), {}
        delivery.start()
        while len(done) < len(shares) - 1 and time.perf_counter() - begun < 600:
            time.sleep(0.1)
            waiting = {c: n for c, state, n in outbox.counts() if state == "waiting"}
            for name in shares.keys() - {"down"} - waiting.keys() - done.keys():
                done[name] = time.perf_counter() - begun
        for name in sorted(done):
            rate = shares[name] / done[name]
            print(f"{name} ({channels[name].kind}): {shares[name]:,} messages in {done[name]:.1f} s, {rate:,.0f} messages/s")
        left = sum(n for c, state, n in outbox.counts() if (c, state) == ("down", "waiting"))
        print(f"down: {left:,} of {shares['down']:,} wait")
        delivery.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    receivers.stdin.write("\n")
    receivers.stdin.flush()
    hooks, mails = receivers.stdout.readline().split()
    receivers.wait(20)
    print(f"received: {int(hooks):,} by webhook, {int(mails):,} as mail, each counted once")
    print(f"healthy channels done in {max(done.values()):.1f} s; peak memory {peak:.0f} MB (before delivery {before:.0f} MB)")


if __name__ == "__main__":
    main()
