"""/metrics says nothing of where or what: a single event leaves the same page wherever and whatever it was."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from earlywarning.core.outgoing import Outgoing
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import load_settings
from earlywarning.store.outbox import Outbox
from tests.core.town import BEGIN, CODE, NOW, event, history, register, surge, tree
from tests.runtimes.test_embedded import supply
from tests.web.conftest import write_town

# Of the process and its clock, not of what it was told.
_OF_THE_PROCESS = re.compile(r"^(process_|earlywarning_(engine_rebuild_seconds|event_to_alert_seconds|retention_run))")


def page(folder: Path, **fields: object) -> str:
    """The metrics of a service that was sent a single event, a refused one and a message."""
    folder.mkdir()
    write_town(folder)
    service = Service.open(load_settings(folder / "earlywarning.toml"))
    service.take([supply([event(1, BEGIN, **fields), event(2, BEGIN, **{**fields, "area": "nowhere"})])], NOW)
    body = {"key": "k", "municipality": CODE, "channel": "mail", "recipient": "r", "kind": "test", "body": "{}"}
    service.store.commit(None, also=[Outbox(service.store).put([Outgoing(created_at=BEGIN, **body)])])  # type: ignore[arg-type]
    service.forget(NOW)
    service.show_state()
    told = service.metrics.page()[0].decode()
    service.stop()
    return "\n".join(line for line in told.splitlines() if not line.startswith("#") and not _OF_THE_PROCESS.match(line))


def test_where_and_what_a_single_event_was_changes_nothing_on_the_page(tmp_path: Path) -> None:
    first = page(tmp_path / "a", area="A0", category="C0")
    assert 'earlywarning_events_total{kind="incident",outcome="accepted",source="wardens"} 1.0' in first
    for n, (area, category, severity) in enumerate((("A5", "C0", None), ("A0", "C3", None), ("A3", "C2", 3), ("D1", "G1", None))):
        fields = {"area": area, "category": category, "origin": "reported", **({"severity": severity} if severity else {})}
        assert page(tmp_path / f"b{n}", **fields) == first


def test_no_label_names_an_area_or_a_category_also_when_there_are_alerts(tmp_path: Path) -> None:
    write_town(tmp_path)
    service = Service.open(load_settings(tmp_path / "earlywarning.toml"))
    service.take([supply(history(5, days=430))], NOW, history=True)
    service.take([supply(surge(440, area="A3", category="C1"))], NOW)
    service.advance(BEGIN + timedelta(days=442))
    assert service.store.alerts()
    service.show_state()
    told = service.metrics.page("application/openmetrics-text")[0].decode()
    service.stop()
    places = {*register().codes, *register().names, *tree().codes, *tree().names_sv, *tree().names_en}
    named = {value for family in text_string_to_metric_families(told.split("# EOF")[0].replace(" # {", "\n# {"))
             for sample in family.samples for value in sample.labels.values()}  # fmt: skip
    assert "surge" in named or "cluster" in named
    assert not named & places
    assert not [word for word in re.findall(r'"([^"]*)"', told) if word in places]


@pytest.mark.parametrize("name", ["areas", "area", "category", "municipality", "district", "event_id"])
def test_no_metric_has_a_label_for_places_or_events(name: str, tmp_path: Path) -> None:
    write_town(tmp_path)
    service = Service.open(load_settings(tmp_path / "earlywarning.toml"))
    labels = {
        label for collector in service.metrics.registry._collector_to_names for label in getattr(collector, "_labelnames", ())
    }
    service.stop()
    assert labels
    assert name not in labels
