"""The outbox of a running service: what was given up is seen, and tried again without stopping it."""

import subprocess
import sys
from datetime import UTC, datetime

from earlywarning.store import Store
from earlywarning.store.outbox import Outbox
from tests.channels.messages import message
from tests.web.conftest import Running


def test_a_running_service_is_asked_to_try_again(running: Running) -> None:
    running.stop()
    with Store.open(f"sqlite:///{running.folder / 'store.db'}", writer=True) as store:
        outbox = Outbox(store)
        store.commit(None, also=[outbox.put([message(1), message(2)])])
        outbox.settle([(1, "dead", "refused"), (2, "dead", "refused")], datetime.now(UTC))
    running.start()
    dead = running.client.get("/v1/outbox", params={"state": "dead"}).json()["messages"]
    assert [(m["id"], m["problem"]) for m in dead] == [(2, "refused"), (1, "refused")]
    assert running.client.post("/v1/outbox/retry", json={"ids": [1]}).json() == {"retried": 1}
    assert running.client.post("/v1/outbox/retry", json={"ids": ["x"]}).status_code == 400
    command = [sys.executable, "-m", "earlywarning", "outbox", "retry", "--to", running.address]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    # The running service may have given the first one up again by now: no channel of that name is set up.
    assert said.startswith(("1 message will be tried again", "2 messages will be tried again"))
    messages = running.client.get("/v1/outbox").json()["messages"]
    assert len(messages) == 2
    assert all(m["state"] == "waiting" or m["problem"] != "refused" for m in messages)
