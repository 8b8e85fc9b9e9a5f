"""Requests made of any bytes, given to the whole application in this process: none of them may be answered by 500 or above."""

import asyncio
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from earlywarning.core.events import Decoded
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import load_settings
from earlywarning.sources.supply import Supply
from earlywarning.web.access import VISITOR, Visitor
from earlywarning.web.api import make_app
from earlywarning.web.serving import bounded
from tests.core.town import history, merged, surge
from tests.web.conftest import write_town

_ALERT = "ALERT"  # in a seed: the id of the town's alert
_TOKEN = "TOKEN"  # in a seed: a signed link to it
_OURS = "csrf=x"  # in a seed: what a form of this visitor carries
_VISITOR = Visitor(secret="v" * 43)


def _seed(method: str, target: str, content_type: str = "", sent: str = "") -> bytes:
    return f"{method} {target}\n{content_type}\n\n{sent}".encode()


_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
SEEDS = [
    _seed("GET", "/v1/counts?first=2023-03-01&last=2023-04-01&area=level:1&kind=incident&window=7&format=csv&zeros=true"),
    _seed("GET", "/v1/alerts?state=open&since=2023-01-01&until=2025-01-01&limit=10&language=sv"),
    _seed("GET", f"/v1/alerts/{_ALERT}?language=en"),
    _seed("GET", "/v1/data-quality?since=2023-01-01&limit=10"),
    _seed("GET", "/v1/dead-letters?rule=json&source=wardens&after=0&limit=5"),
    _seed("GET", "/v1/outbox?state=dead&limit=5"),
    _seed("GET", "/v1/mutes?over=true&language=sv"),
    _seed("GET", "/v1/feeds/atom?limit=3&language=en"),
    _seed("GET", "/v1/feeds/cap?limit=3"),
    _seed("GET", "/v1/feeds/calendar?limit=3"),
    _seed("GET", "/v1/schemas/incident"),
    _seed("GET", "/v1/plan?language=sv"),
    _seed("GET", "/picture?level=1&category=C0&kind=report&window=28&day=2024-01-01&all=1"),
    _seed("GET", "/areas/A0?category=C0&window=7&day=2024-01-01"),
    _seed("GET", "/alerts?which=all&category=C0&area=D0"),
    _seed("GET", f"/alerts/{_ALERT}?done=assess"),
    _seed("GET", "/operations"),
    _seed("GET", "/static/page.css"),
    _seed("GET", "/sign-in?next=/alerts"),
    _seed("GET", f"/answer/{_TOKEN}?language=sv"),
    _seed("POST", f"/answer/{_TOKEN}", _FORM, "revision=0&choice=acknowledge&note=x"),
    _seed("POST", f"/v1/alerts/{_ALERT}/answers", _JSON,
          '{"answer_id": "a1", "action": "note", "actor": "est", "revision": 0, "note": "x"}'),
    _seed("POST", "/v1/mutes?preview=true", _JSON,
          '{"areas": ["D0"], "first_day": "2030-01-01", "last_day": "2030-01-02", "reason": "festival", "who": "coordinator"}'),
    _seed("POST", "/v1/mutes/m-0/end", _JSON, '{"who": "coordinator"}'),
    _seed("POST", "/v1/outbox/retry", _JSON, '{"ids": [1, 2]}'),
    _seed("POST", "/v1/plan?actor=est&note=x&file=plan.csv", "text/csv", "record;code\nplan;x"),
    _seed("POST", f"/alerts/{_ALERT}", _FORM, "csrf=x&action=acknowledge&revision=0"),
    _seed("POST", "/sign-in", _FORM, "csrf=x&name=eva&password=x&next=/alerts"),
    _seed("POST", "/v1/events", _JSON, "[{}]"),
    _seed("GET", "/v1/settings/versions?limit=3"),
    _seed("GET", "/v1/settings/drafts/1"),
    _seed("POST", "/v1/settings/drafts", _JSON,
          '{"changes": {"detection.min_count": 4, "budget.district_weights": {"D0": 2.0}}, "reason": "x"}'),
    _seed("POST", "/v1/settings/drafts/1", _JSON,
          '{"changes": {"detection.windows": [1, 7]}, "reason": "y", "actor": "z", "revision": 1}'),
    _seed("POST", "/v1/settings/drafts/1/rebase", _JSON, '{"revision": 1}'),
    _seed("POST", "/v1/settings/drafts/2/withdraw", _JSON, '{"revision": 1, "actor": "z"}'),
    _seed("POST", "/v1/settings/drafts/1/apply", _JSON, '{"revision": 1, "seen": 9}'),
    _seed("POST", "/v1/settings/back", _JSON, '{"seen": 9, "to": 1, "reason": "x"}'),
    _seed("POST", "/v1/dead-letters/replay", _JSON, '{"ids": [1, 2], "rule": "json", "source": "wardens"}'),
    _seed("GET", "/settings"),
    _seed("GET", "/settings/drafts/new?detection.min_count=4&detection.windows=1,7&budget.district_weights=D0=2&reason=x"),
    _seed("GET", "/settings/drafts/1?saved=draft"),
    _seed("POST", "/settings/drafts", _FORM, "csrf=x&detection.min_count=4&reason=x"),
    _seed("POST", "/settings/drafts/1", _FORM, "csrf=x&action=rebase&revision=1"),
    _seed("POST", "/settings/drafts/1/apply", _FORM, "csrf=x&revision=1&seen=9"),
    _seed("POST", "/settings/back", _FORM, "csrf=x&to=1&seen=9"),
    _seed("GET", "/dead-letters?rule=json&source=wardens&after=0"),
    _seed("POST", "/dead-letters", _FORM, "csrf=x&id=1&rule=json&source=wardens"),
    _seed("GET", "/plan?language=sv"),
    _seed("POST", "/plan", _FORM, "csrf=x&name=plan.csv&content=cmVjb3JkO2NvZGU=&base=0&note=x"),
]  # fmt: skip


class Application:
    """A town's application, and how to put one request to it."""

    def __init__(self, folder: Path) -> None:
        write_town(folder, "\n[answers]\nlink_days = 90\n")
        settings = folder / "earlywarning.toml"
        settings.write_text(settings.read_text().replace("[service]", '[service]\npublic_url = "https://est.example.se"'))
        self.service = Service.open(load_settings(settings))
        events = merged(history(3, days=460), surge(430))
        self.service.take([Supply(Decoded(events, list(range(len(events))), []), "test")], datetime(2030, 1, 1, tzinfo=UTC))
        self.alert = self.service.store.alerts(limit=1)[0].alert_id
        self.token = self.service.links.make(self.alert, "est")["answer"].rpartition("/")[2]
        self.service.start(settings)
        self.app = bounded(make_app(self.service))
        self.loop = asyncio.new_event_loop()

    def ask(self, data: bytes) -> tuple[int, bytes]:
        """The answer to a request: a line with method and target, a line with the content type, an empty line, the body."""
        data = data.replace(_ALERT.encode(), self.alert.encode()).replace(_TOKEN.encode(), self.token.encode())
        data = data.replace(_OURS.encode(), f"csrf={_VISITOR.csrf}".encode())
        first, _, rest = data.partition(b"\n")
        kind, _, sent = rest.partition(b"\n\n")
        method, _, target = first.partition(b" ")
        raw, _, query = target.partition(b"?")
        path = "/" + raw.lstrip(b"/").decode("latin-1")
        headers = [(b"host", b"est.example.se"), (b"content-type", kind), (b"content-length", str(len(sent)).encode()),
                   (b"cookie", f"{VISITOR}={_VISITOR.secret}".encode())]  # fmt: skip
        if not path.startswith("/v1"):
            headers.append((b"accept", b"text/html"))
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
            "method": "POST" if method == b"POST" else "GET", "path": path, "raw_path": raw,
            "query_string": query, "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "extensions": {}, "state": {},
        }  # fmt: skip
        return self.loop.run_until_complete(asyncio.wait_for(self._answer(scope, sent), 30))

    async def _answer(self, scope: dict[str, Any], sent: bytes) -> tuple[int, bytes]:
        status, parts, asked = 0, [], False

        async def receive() -> Any:
            nonlocal asked
            if asked:
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": sent, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        # Live updates never end by themselves, and a weekly picture is a process' work of seconds: neither is asked for here.
        if scope["path"].startswith(("/live", "/v1/briefing")):
            return 0, b""
        await self.app(scope, receive, send)  # type: ignore[arg-type]
        return status, b"".join(parts)


@cache
def application() -> Application:
    """The application, made once a process."""
    return Application(Path(tempfile.mkdtemp(prefix="earlywarning-hostile-")))


def run(data: bytes) -> None:
    """Put one request to the application. Raises AssertionError when it fails at it."""
    status, said = application().ask(data)
    assert status < 500, (status, said[:300])
    assert b"Traceback" not in said
