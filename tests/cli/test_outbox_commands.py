"""`earlywarning channels` and `earlywarning outbox`, as an operator uses them."""

import json
import subprocess
from pathlib import Path

import pytest

from earlywarning.store import Store
from earlywarning.store.outbox import Outbox
from tests.channels.messages import MADE, message
from tests.channels.receivers import http_receiver, mail_receiver
from tests.cli.told import earlywarning

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return earlywarning(folder, *words, environment={"HOOK_KEY": KEY})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path)
    return tmp_path


def write(folder: Path, hook: str = "http://127.0.0.1:9/in", port: int = 9) -> None:
    (folder / "earlywarning.toml").write_text(
        '[municipality]\ncode = "0999"\nname = "Testby"\n[store]\nurl = "sqlite:///store.db"\n'
        f'[channels.hook]\nkind = "webhook"\nurl = "{hook}"\nsecret_env = "HOOK_KEY"\n'
        f'[channels.mail]\nkind = "email"\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\nsender = "est@testby.example"\n',
        encoding="utf-8",
    )


def test_a_channel_that_works_says_so(folder: Path) -> None:
    with http_receiver() as hook, mail_receiver() as (mails, port):
        write(folder, hook.url, port)
        first, second = run(folder, "channels", "test", "hook"), run(folder, "channels", "test", "mail", "--to", "b@testby.example")
        assert "channel 'hook': delivered; the message's key is " in first.stdout
        assert "channel 'mail': delivered to b@testby.example" in second.stdout
        assert json.loads(hook.got[0].body)["kind"] == "test"
        assert mails.mails[0]["Subject"] == "Provmeddelande från tidig varning"


def test_a_channel_that_fails_says_why_and_tells_no_secret(folder: Path) -> None:
    with http_receiver() as hook:
        hook.answer = lambda got: (400, {}, f"bad key {KEY}".encode())
        write(folder, hook.url)
        refused = run(folder, "channels", "test", "hook")
    down, unnamed, unknown = (run(folder, "channels", "test", name) for name in ("hook", "mail", "pigeon"))
    assert "refused for good, repeating would not help: 127.0.0.1:" in refused.stderr
    assert "not delivered, a message would be tried again: 127.0.0.1:" in down.stderr
    assert "name an address with --to" in unnamed.stderr
    assert "there is no channel 'pigeon'" in unknown.stderr
    assert [p.returncode for p in (refused, down, unnamed, unknown)] == [1] * 4
    assert KEY not in refused.stderr + refused.stdout


def test_what_was_given_up_is_seen_and_tried_again(folder: Path) -> None:
    with Store.open(f"sqlite:///{folder / 'store.db'}", writer=True) as store:
        outbox = Outbox(store)
        store.commit(None, also=[outbox.put([message(i) for i in range(1, 5)])])
        outbox.settle([(1, "dead", "x.example answered 400"), (2, "dead", "no"), (3, "delivered", "")], MADE)
    channels = run(folder, "channels", "list").stdout
    assert "HOOK_KEY" in channels
    assert KEY not in channels
    assert "x.example answered 400" in run(folder, "outbox", "list", "--state", "dead").stdout
    rows = json.loads(run(folder, "outbox", "list", "--format", "json").stdout)
    assert [(r["id"], r["state"]) for r in rows] == [(4, "waiting"), (2, "dead"), (1, "dead")]
    assert "body" not in rows[0]
    assert run(folder, "outbox", "retry", "1").stdout.startswith("1 message will be tried again")
    assert run(folder, "outbox", "retry").stdout.startswith("1 message will be tried again")
    assert run(folder, "outbox", "retry").stdout.startswith("No message was given up")
    assert "did not answer" in run(folder, "outbox", "retry", "--to", "http://127.0.0.1:9").stderr


def test_the_schema_of_webhooks_is_printed(folder: Path) -> None:
    assert json.loads(run(folder, "schema", "webhook").stdout)["title"] == "Message"
