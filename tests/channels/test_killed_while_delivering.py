"""Killed in the midst of delivery, again and again: everything arrives, and repetitions carry the same key."""

import random
import subprocess
import sys
from pathlib import Path

from earlywarning.store import Store
from earlywarning.store.outbox import Outbox
from tests.channels.conftest import SIGNING_KEY
from tests.channels.messages import message
from tests.channels.receivers import http_receiver, until

PROJECT = Path(__file__).parents[2]
MESSAGES, ALERTS, KILLS = 600, 150, 4
DRIVER = """
import sys, time
from earlywarning.channels import Delivery
from earlywarning.monitoring import Metrics
from earlywarning.store import Store
from earlywarning.store.outbox import Outbox
from tests.channels.conftest import webhook
from tests.channels.messages import CONTENTS
with Store.open(sys.argv[1], writer=True) as store:
    delivery = Delivery(store, {"hook": webhook(sys.argv[2])}, CONTENTS, Metrics())
    delivery.start()
    while any(state == "waiting" for _, state, _ in Outbox(store).counts()):
        time.sleep(0.05)
    delivery.stop()
"""


def test_nothing_is_lost_and_repetitions_are_known_by_their_key(tmp_path: Path) -> None:
    url, rng = f"sqlite:///{tmp_path / 'store.db'}", random.Random(5)
    made = [message(i % ALERTS, key=f"k{i:04}") for i in range(MESSAGES)]
    with Store.open(url, writer=True) as store:
        store.commit(None, also=[Outbox(store).put(made)])
    with http_receiver() as receiver:
        command = [sys.executable, "-c", DRIVER, url, receiver.url]
        environment = {"PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}", "HOOK_KEY": SIGNING_KEY, "OPENBLAS_NUM_THREADS": "1"}
        for _ in range(KILLS):
            seen = len(receiver.got)
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until(lambda so_far=seen: len(receiver.got) > so_far + rng.randint(20, 90), "for deliveries", 30)  # type: ignore[misc]
            process.kill()
            process.wait()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        keys = receiver.all_keys()
    assert len(keys) > MESSAGES  # some were repeated, or the test has tested nothing
    once = list(dict.fromkeys(keys))
    assert sorted(once) == sorted(m.key for m in made)
    for alert in range(ALERTS):  # dropping repetitions leaves each alert's messages in their order
        assert [k for k in once if int(k[1:]) % ALERTS == alert] == [f"k{i:04}" for i in range(alert, MESSAGES, ALERTS)]
    with Store.open(url) as store:
        assert Outbox(store).counts() == [("hook", "delivered", MESSAGES)]
