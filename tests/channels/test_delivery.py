"""What waits in the outbox is delivered: at least once, in order, whatever the receivers do, and nobody waits for another."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from standardwebhooks import Webhook

from earlywarning.channels import http_push
from earlywarning.settings_channels import WebhookChannel
from tests.channels.conftest import SIGNING_KEY, Post, webhook
from tests.channels.messages import MADE, content, message
from tests.channels.receivers import Got, HttpReceiver, http_receiver, until

Hook = Callable[..., WebhookChannel]


def test_what_waits_is_delivered_with_its_key(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    post.put(*(message(i) for i in range(1, 21)))
    post.start(hook=hook())
    until(lambda: post.states() == ["delivered"] * 20)
    assert sorted(receiver.all_keys()) == sorted(w.message.key for w in post.all())
    assert post.value("earlywarning_deliveries_total", channel="hook", outcome="delivered") == 20


@pytest.mark.parametrize("trouble", [500, 503, 429, 408, "reset", "hang"])
def test_trouble_is_tried_again_with_the_same_key(post: Post, receiver: HttpReceiver, hook: Hook, trouble: int | str) -> None:
    receiver.answer = lambda got: trouble if len(receiver.got) < 2 else 200
    post.put(message())
    post.start(hook=hook(timeout_seconds=0.2))
    until(lambda: post.states() == ["delivered"])
    assert len(receiver.all_keys()) == 3
    assert len(set(receiver.all_keys())) == 1
    assert post.all()[0].attempts == 3
    assert post.value("earlywarning_deliveries_total", channel="hook", outcome="failed") == 2


@pytest.mark.parametrize("refusal", [400, 404, 410, 422, 301])
def test_a_refusal_for_good_is_given_up_at_once_and_says_so(post: Post, receiver: HttpReceiver, hook: Hook, refusal: int) -> None:
    receiver.answer = lambda got: (refusal, {}, "fältet saknas\n".encode())
    post.put(message())
    post.start(hook=hook())
    until(lambda: post.states() == ["dead"])
    problem = post.all()[0].problem
    assert f"127.0.0.1:{receiver.port} answered {refusal}" in problem
    assert "fältet saknas" in problem
    assert len(receiver.got) == 1


def test_a_message_is_given_up_after_its_attempts(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    receiver.answer = lambda got: 500
    post.put(message())
    post.start(hook=hook(attempts=3))
    until(lambda: post.states() == ["dead"])
    assert len(receiver.got) == 3
    assert post.all()[0].problem.startswith("given up after 3 attempts: ")


def test_what_was_given_up_is_delivered_when_a_person_asks_for_it(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    receiver.answer = lambda got: 400
    post.put(message())
    delivery = post.start(hook=hook())
    until(lambda: post.states() == ["dead"])
    receiver.answer = lambda got: 200
    assert post.outbox.again([post.all()[0].id], MADE) == 1
    delivery.wake()
    until(lambda: post.states() == ["delivered"])
    assert len(set(receiver.all_keys())) == 1


def test_messages_of_an_alert_keep_their_order_and_others_go_past(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    stuck = [message(1, content(1, change), key=change) for change in ("opened", "updated", "settled")]
    other = message(2)
    free = threading.Event()
    receiver.answer = lambda got: 200 if free.is_set() or got.key == other.key else 500
    post.put(*stuck, other)
    post.start(hook=hook(attempts=1000))
    until(lambda: other.key in receiver.all_keys())
    until(lambda: receiver.all_keys().count("opened") > 3)
    assert "updated" not in receiver.all_keys()
    free.set()
    until(lambda: post.states() == ["delivered"] * 4)
    order = [key for key in dict.fromkeys(receiver.all_keys()) if key != other.key]
    assert order == ["opened", "updated", "settled"]


def test_an_alerts_next_message_follows_when_the_one_before_it_is_given_up(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    receiver.answer = lambda got: 400 if got.key == "first" else 200
    post.put(message(1, key="first"), message(1, key="second"))
    post.start(hook=hook())
    until(lambda: post.states() == ["dead", "delivered"])


def test_a_channel_that_hangs_or_is_down_slows_no_other(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    with http_receiver() as hanging:
        hanging.answer = lambda got: "hang"
        for name in ("hook", "hanging", "down"):
            post.put(*(message(i, channel=name) for i in range(1, 31)))
        down = webhook("http://127.0.0.1:9/in", rest_seconds=60)
        post.start(hook=hook(), hanging=webhook(hanging.url, timeout_seconds=30), down=down)
        until(lambda: len(receiver.got) == 30, seconds=5)
        until(lambda: len(hanging.got) == 1)
        until(lambda: sum(w.state == "delivered" for w in post.all()) == 30)


def test_a_channel_that_fails_rests_and_is_tried_with_one_message_until_it_is_well(
    post: Post, receiver: HttpReceiver, hook: Hook
) -> None:
    receiver.answer = lambda got: 503
    post.put(*(message(i) for i in range(1, 51)))
    delivery = post.start(hook=hook(rest_after=4, rest_seconds=0.4, attempts=100))
    until(lambda: len(receiver.got) == 4)
    delivery.show_state()
    assert post.value("earlywarning_channel_breaker", channel="hook", state="open") == 1
    assert post.value("earlywarning_outbox_messages", channel="hook", state="waiting") == 50
    assert post.value("earlywarning_outbox_oldest_seconds", channel="hook") > 0
    until(lambda: len(receiver.got) == 5)  # half-open: one
    until(lambda: len(receiver.got) == 6)  # and again after another rest
    receiver.answer = lambda got: 200
    until(lambda: post.states() == ["delivered"] * 50)
    delivery.show_state()
    assert post.value("earlywarning_channel_breaker", channel="hook", state="closed") == 1
    assert post.value("earlywarning_outbox_oldest_seconds", channel="hook") == 0


def test_a_receiver_that_asks_for_time_is_left_alone_for_it(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    receiver.answer = lambda got: (429, {"retry-after": "3600"}, b"")
    post.put(message(1), message(2))
    post.start(hook=hook())
    until(lambda: post.all()[0].attempts == 1)
    waiting = post.all()[0]
    assert (waiting.next_at - waiting.message.created_at).total_seconds() >= 3600
    assert len(receiver.got) == 1


def test_waits_grow_and_differ(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    worker = post.start(hook=hook(retry_seconds=10, longest_retry_seconds=100))._workers["hook"]
    from earlywarning.channels.worker import _attempt  # noqa: PLC0415

    waits = {n: [worker._wait(_attempt(n)) for _ in range(200)] for n in (1, 2, 3, 4, 60, 1000)}
    for n, longest in ((1, 10), (2, 20), (3, 40), (4, 80), (60, 100), (1000, 100)):
        assert 0 <= min(waits[n]) < 0.2 * longest
        assert 0.8 * longest < max(waits[n]) <= longest


def test_messages_for_a_channel_that_does_not_exist_are_given_up_and_say_what_to_do(post: Post, hook: Hook) -> None:
    post.put(message(1, channel="pigeon"), message(2))
    delivery = post.start(hook=hook())
    until(lambda: post.states() == ["dead", "delivered"])
    assert "there is no channel 'pigeon' in the settings; add [channels.pigeon]" in post.all()[0].problem
    delivery.show_state()
    assert post.value("earlywarning_outbox_messages", channel="unknown", state="dead") == 1


def test_a_message_that_cannot_be_read_holds_up_no_other(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    broken = message(1, body=None)
    post.put(msgspec.structs.replace(broken, body='{"alert": 5}'), message(2))
    post.start(hook=hook())
    until(lambda: post.states() == ["dead", "delivered"])
    assert "the content of kind 'alert' cannot be read" in post.all()[0].problem


def test_a_municipality_that_is_not_known_yet_is_waited_for(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    post.put(message(1, municipality="0111"), message(2))
    post.start(hook=hook(retry_seconds=60))
    until(lambda: "delivered" in post.states())
    until(lambda: post.all()[0].problem == "the names of municipality 0111 are not known here yet")
    assert post.states() == ["waiting", "delivered"]


def test_other_settings_take_effect_and_a_channel_that_stays_goes_on(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    with http_receiver() as other:
        delivery = post.start(hook=hook())
        kept = delivery._workers["hook"]
        delivery.configure({"hook": hook(), "second": webhook(other.url)})
        post.put(message(1, channel="hook"), message(1, channel="second"))
        until(lambda: post.states() == ["delivered"] * 2)
        assert delivery._workers["hook"] is kept
        delivery.configure({"second": hook()})
        post.put(message(2, channel="second"))
        until(lambda: len(receiver.got) == 2)
        until(lambda: post.states() == ["delivered"] * 3)


def test_a_missing_secret_keeps_messages_until_it_is_there(
    post: Post, receiver: HttpReceiver, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.put(message())
    post.start(hook=hook(secret_env="HOOK_KEY_2", attempts=1000))
    until(lambda: "HOOK_KEY_2 (secret_env) is not set" in post.all()[0].problem)
    monkeypatch.setenv("HOOK_KEY_2", SIGNING_KEY)
    until(lambda: post.states() == ["delivered"])


def test_the_signature_is_right_and_a_changed_or_old_message_is_refused(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    post.put(message())
    post.start(hook=hook())
    until(lambda: receiver.got)
    got: Got = receiver.got[0]
    verifier = Webhook(SIGNING_KEY)
    said = verifier.verify(got.body, got.headers)
    assert (said["key"], said["type"], said["format"]) == (got.headers["webhook-id"], "alert.opened", 1)
    with pytest.raises(Exception, match="No matching signature"):
        verifier.verify(got.body.replace(b"alert.opened", b"alert.closed"), got.headers)
    old = str(int(got.headers["webhook-timestamp"]) - 600)
    with pytest.raises(Exception, match="too old"):
        verifier.verify(got.body, {**got.headers, "webhook-timestamp": old})
    with pytest.raises(Exception, match="No matching signature"):  # a fresh time with the old signature
        verifier.verify(got.body, {**got.headers, "webhook-timestamp": str(int(old) + 601)})
    with pytest.raises(Exception, match="No matching signature"):
        verifier.verify(got.body, {**got.headers, "webhook-id": "another"})


def test_a_secret_never_shows_up_in_problems_or_logs(
    post: Post, receiver: HttpReceiver, hook: Hook, capfd: pytest.CaptureFixture[str]
) -> None:
    bare = SIGNING_KEY.removeprefix("whsec_")
    receiver.answer = lambda got: (400, {}, f"your key {SIGNING_KEY} or {bare} is wrong".encode())
    post.put(message())
    post.start(hook=hook())
    until(lambda: post.states() == ["dead"])
    told = post.all()[0].problem + "".join(capfd.readouterr())
    assert "is wrong" in told
    assert bare not in told


def test_stopping_keeps_what_became_of_messages(post: Post, receiver: HttpReceiver, hook: Hook) -> None:
    post.put(*(message(i) for i in range(1, 301)))
    delivery = post.start(hook=hook())
    until(lambda: len(receiver.got) >= 20)
    delivery.stop()
    sent = set(receiver.all_keys())
    assert {w.message.key for w in post.all() if w.state == "delivered"} == sent
    assert len(sent) < 300


def test_a_receiver_says_how_long_to_wait_in_seconds_or_as_a_date() -> None:
    in_two_hours = datetime.now(UTC) + timedelta(hours=2)
    for asked, seconds in {
        "": 0, "120": 120, "-5": 0, "nan": 0, "soon": 0, "Thu, 01 Jan 1970 00:00:00 GMT": 0, "inf": 86_400,
        format_datetime(in_two_hours, usegmt=True): 7_200,
        in_two_hours.strftime("%d %b %Y %H:%M:%S"): 7_200,  # without a zone
    }.items():  # fmt: skip
        assert http_push._wait(asked) == pytest.approx(seconds, abs=60), asked
