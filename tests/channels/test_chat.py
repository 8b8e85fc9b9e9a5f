"""Chat through Apprise, to a receiver on loopback: what is sent, what is refused, and that its address is never told."""

import json
from pathlib import Path
from typing import Any

import pytest

from earlywarning.settings_channels import ChatChannel
from tests.channels.conftest import Post
from tests.channels.messages import CODE, content, message
from tests.channels.receivers import HttpReceiver, until


@pytest.fixture
def chat(tmp_path: Path, receiver: HttpReceiver) -> ChatChannel:
    """A chat whose address, with its key, stands in a file."""
    secret = tmp_path / "chat"
    secret.write_text(f"json://bot:hemligt-ord@127.0.0.1:{receiver.port}/rum/nyckel-123\n")
    return quick(secret_file=str(secret))


def quick(**given: Any) -> ChatChannel:
    return ChatChannel(retry_seconds=0.01, longest_retry_seconds=0.02, timeout_seconds=2, **given)


def test_an_alert_is_told_in_a_few_lines_with_links_and_key(post: Post, receiver: HttpReceiver, chat: ChatChannel) -> None:
    post.put(message(1, content(1, links={"open": "https://est.example/1"}), channel="chat", key="k1"))
    post.start(chat=chat)
    until(lambda: post.states() == ["delivered"])
    said = json.loads(receiver.got[0].body)
    assert said["title"] == "Ny varning: Gåsöga östra: klotter"
    assert "registrerades 14 händelser" in said["message"]
    assert "Öppna varningen: https://est.example/1" in said["message"]
    assert said["message"].endswith(f"Varning {CODE}-20260412-1, meddelande k1")


@pytest.mark.parametrize(("status", "state"), [(400, "dead"), (403, "dead"), (429, "delivered"), (500, "delivered")])
def test_refusals_for_good_and_for_now_are_told_apart_without_the_address(
    post: Post, receiver: HttpReceiver, chat: ChatChannel, capfd: pytest.CaptureFixture[str], status: int, state: str
) -> None:
    receiver.answer = lambda got: status if len(receiver.got) < 1 else 200
    post.put(message(1, channel="chat"))
    post.start(chat=chat)
    until(lambda: post.states() == [state])
    told = post.all()[0].problem + "".join(capfd.readouterr())
    assert f"JSON answered {status}" in told
    for secret in ("hemligt-ord", "nyckel-123"):
        assert secret not in told


def test_a_chat_that_cannot_be_reached_is_tried_again_without_telling_its_address(
    post: Post, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "chat"
    secret.write_text("json://bot:hemligt-ord@127.0.0.1:9/rum")
    post.put(message(1, channel="chat"))
    post.start(chat=quick(secret_file=str(secret), attempts=2))
    until(lambda: post.states() == ["dead"])
    told = post.all()[0].problem + "".join(capfd.readouterr())
    assert "given up after 2 attempts: JSON: no connection, or no answer in time" in told
    assert "hemligt-ord" not in told


def test_an_address_that_apprise_does_not_know_is_named_without_repeating_it(
    post: Post, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHAT", "pigeon://hemligt-ord/x")
    post.put(message(1, channel="chat"))
    post.start(chat=quick(secret_env="CHAT", attempts=1))
    until(lambda: post.states() == ["dead"])
    told = post.all()[0].problem + "".join(capfd.readouterr())
    assert "is none that Apprise knows" in told
    assert "hemligt-ord" not in told
