"""Prometheus Alertmanager, API v2: an open alert is active there, one that is over or answered is resolved.

Labels tell alerts apart, so they hold only what never changes about one; the words and the message's key are annotations.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from earlywarning.channels.contents import AlertWords, Letter
from earlywarning.channels.http_push import HttpPush, auth_of
from earlywarning.channels.refusals import Undeliverable
from earlywarning.channels.secrets import secret_of
from earlywarning.core.casework import ENDED
from earlywarning.core.outgoing import AlertContent, DigestContent, TestContent
from earlywarning.settings_channels import AlertmanagerChannel
from earlywarning.store.outbox import Waiting

_TEST_MINUTES = 5  # for which a test stays active


class AlertmanagerSender:
    """Posts alerts to /api/v2/alerts."""

    wants_earlier = False

    def __init__(self, channel: AlertmanagerChannel) -> None:
        """Raises NotNow when the secret cannot be read."""
        secret, self._channel = secret_of(channel), channel
        self._push = HttpPush(
            channel.url.rstrip("/") + "/api/v2/alerts", timeout=channel.timeout_seconds, ca_file=channel.ca_file,
            auth=auth_of(channel.username, secret), secrets=(secret,),
        )  # fmt: skip

    def render(self, letter: Letter) -> bytes:
        """The alerts as JSON. Raises Undeliverable for what holds none."""
        match letter.content:
            case TestContent():
                body = [self._test(letter)]
            case AlertContent() as content:
                body = [self._alert(content, letter.alerts[0], letter)]
            case DigestContent() as digest:
                body = [self._alert(c, w, letter) for c, w in zip(digest.alerts, letter.alerts, strict=True)]
            case _:
                raise Undeliverable(
                    f"an Alertmanager takes alerts, not messages of kind {letter.message.kind!r}; send those by email"
                )
        return msgspec.json.encode(body)

    def _alert(self, content: AlertContent, words: AlertWords, letter: Letter) -> dict[str, Any]:
        alert, m, names = content.alert, letter.message, letter.names
        over = alert.state != "open" or content.casework.stage in ENDED
        begun: datetime = alert.opened_at
        end = max(m.created_at, begun) if over else max(m.created_at, begun) + timedelta(days=self._channel.hold_days)
        labels = {
            **self._channel.labels,
            "alertname": f"EarlyWarning{alert.tendency.capitalize()}",
            "alert_id": alert.alert_id,
            "municipality": alert.municipality,
            "tendency": alert.tendency,
            "severity": "critical" if alert.tendency == "severe" else "warning",
        }
        areas = ", ".join(names.area(code, letter.language) for code in alert.areas)
        categories = ", ".join(names.category(code, letter.language) for code in alert.categories)
        facts = {"summary": words.headline, "description": words.sentence, "areas": areas, "categories": categories}
        annotations = {**facts, "stage": words.stage, "key": m.key}
        found: dict[str, Any] = {"labels": labels, "annotations": annotations, "startsAt": begun, "endsAt": end}
        if address := content.links.get("open"):
            found["generatorURL"] = address
        return found

    def _test(self, letter: Letter) -> dict[str, Any]:
        m = letter.message
        labels = {**self._channel.labels, "alertname": "EarlyWarningTest", "municipality": m.municipality, "severity": "none"}
        annotations = {"summary": letter.subject, "description": letter.paragraphs[0], "key": m.key}
        end = m.created_at + timedelta(minutes=_TEST_MINUTES)
        return {"labels": labels, "annotations": annotations, "startsAt": m.created_at, "endsAt": end}

    def send(self, waiting: Waiting, rendered: bytes) -> None:
        """Post them."""
        self._push.post(rendered, {"content-type": "application/json", "x-earlywarning-key": waiting.message.key})

    def close(self) -> None:
        """Let go of the connections."""
        self._push.close()
