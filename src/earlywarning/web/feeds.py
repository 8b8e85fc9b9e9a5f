"""Feeds over HTTP: alerts as Atom, as CAP 1.2 documents in Atom, and as a calendar; and single CAP documents."""

from typing import Annotated
from zoneinfo import ZoneInfo

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter

from earlywarning.channels import feeds
from earlywarning.channels.cap_document import CapSender
from earlywarning.core.casework import Casework
from earlywarning.core.outgoing import AlertContent
from earlywarning.locale import Language, Names
from earlywarning.runtimes.front import Front
from earlywarning.store.cases import Cases

MOST = 200  # alerts in a feed, the newest


def _items(service: Front, limit: int) -> list[AlertContent]:
    alerts = service.store.alerts(municipality=service.register.municipality, limit=limit)
    cases = Cases(service.store).of([a.alert_id for a in alerts])
    base = service.settings.service.public_url.rstrip("/")
    return [
        AlertContent(
            alert=a, change="opened",
            casework=cases.get(a.alert_id) or Casework(alert_id=a.alert_id, municipality=a.municipality, opened_at=a.opened_at),
            links={"open": f"{base}/alerts/{a.alert_id}"} if base else {},
        )
        for a in alerts
    ]  # fmt: skip


def _feed(service: Front, language: Language | None, path: str) -> feeds.Feed:
    base, own = service.settings.service.public_url.rstrip("/"), service.settings.municipality
    return feeds.Feed(
        own.code, Names.from_registers(service.register, service.tree), language or own.language,
        f"{base}{path}" if base else "", ZoneInfo(own.timezone),
    )  # fmt: skip


@get("/v1/feeds/atom", summary="Alerts as an Atom feed", tags=["alerts"], sync_to_thread=True)
def atom_feed(
    state: State, limit: Annotated[int, QueryParameter(ge=1, le=MOST)] = 50, language: FromQuery[Language | None] = None
) -> Response[bytes]:
    """The newest alerts; an entry changes when anything about its alert does."""
    service: Front = state.service
    body = feeds.atom(_items(service, limit), _feed(service, language, "/v1/feeds/atom"))
    return Response(body, headers={"content-type": "application/atom+xml; charset=utf-8"})


@get("/v1/feeds/cap", summary="Alerts as CAP 1.2 documents", tags=["alerts"], sync_to_thread=True)
def cap_feed(
    state: State, limit: Annotated[int, QueryParameter(ge=1, le=MOST)] = 50, language: FromQuery[Language | None] = None
) -> Response[bytes]:
    """An Atom feed of Common Alerting Protocol documents, restricted to the coordination group."""
    service: Front = state.service
    sender = CapSender(service.settings.service.public_url or f"earlywarning-{service.register.municipality}")
    body = feeds.cap(_items(service, limit), _feed(service, language, "/v1/feeds/cap"), sender)
    return Response(body, headers={"content-type": "application/atom+xml; charset=utf-8"})


@get("/v1/feeds/calendar", summary="Alerts and measures as a calendar", tags=["alerts"], sync_to_thread=True)
def calendar_feed(
    state: State, limit: Annotated[int, QueryParameter(ge=1, le=MOST)] = 50, language: FromQuery[Language | None] = None
) -> Response[bytes]:
    """Alerts on their days, measures on the day they are due, for a calendar program to subscribe to."""
    service: Front = state.service
    body = feeds.ical(_items(service, limit), _feed(service, language, "/v1/feeds/calendar"))
    return Response(body, headers={"content-type": "text/calendar; charset=utf-8"})


FEEDS = (atom_feed, cap_feed, calendar_feed)
