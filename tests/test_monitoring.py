"""The metrics page: names and labels by Prometheus' conventions, bounded whatever is sent, and without a sender's texts."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from earlywarning.core.events import decode_mappings
from earlywarning.monitoring import MOST_SOURCES, Metrics, Standing
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import load_settings
from earlywarning.sources.supply import Supply
from tests.conftest import debian_program
from tests.core.town import BEGIN, event, history, merged
from tests.runtimes.test_embedded import take
from tests.web.conftest import body, write_town

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(earlywarning_\w+)` \| (\w+) \| ([\w, ]*?) ?\| ([\d,]+) \|", re.MULTILINE)
DOCUMENTED = {
    name: (kind, set(filter(None, labels.split(", "))), int(bound.replace(",", "")))
    for name, kind, labels, bound in ROW.findall(DOCUMENT.read_text())
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_town(tmp_path)
    return tmp_path


def pages(service: Service) -> dict[str, tuple[str, list[dict[str, str]]]]:
    """Of each family of the metrics page: its type and the labels of its samples."""
    service.show_state()
    text = service.metrics.page()[0].decode()
    return {
        family.name + ("_total" if family.type == "counter" else ""): (family.type, [s.labels for s in family.samples])
        for family in text_string_to_metric_families(text)
    }


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    collected = {m.name + ("_total" if m.type == "counter" else ""): m for m in Metrics().registry.collect()}
    own = {name: m for name, m in collected.items() if not name.startswith("process_")}
    assert {name: m.type for name, m in own.items()} == {name: kind for name, (kind, _, _) in DOCUMENTED.items()}
    labelled = {
        name: set(getattr(metric, "_labelnames", ()))
        for name, metric in ((n.removesuffix("_total"), c) for c, ns in _collectors().items() for n in ns)
    }
    for name, (_, labels, _) in DOCUMENTED.items():
        if name != "earlywarning_event_lateness_seconds":  # made by a collector of its own, which declares no labels
            assert labelled[name.removesuffix("_total")] == labels, name


def _collectors() -> dict[object, list[str]]:
    return dict(Metrics().registry._collector_to_names)


def test_promtool_finds_nothing_to_object_to() -> None:
    metrics = Metrics()
    metrics.show_standing("0380", Standing(1.0, 1.0, 1.0, ("wardens",)))
    metrics.count_events({("incident", "wardens", "accepted"): 1})
    promtool = debian_program("promtool", "prometheus")
    found = subprocess.run([promtool, "check", "metrics"], input=metrics.page()[0], capture_output=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_whatever_is_sent_the_series_stay_below_the_documented_bound_and_hold_no_text_of_the_sender(folder: Path) -> None:
    service = Service.open(load_settings(folder / "earlywarning.toml"))
    marks = [f"zebra{i}" for i in range(3 * MOST_SOURCES)]
    try:
        take(service, [event(i, BEGIN + timedelta(minutes=i), source=mark) for i, mark in enumerate(marks)])
        # Events that are taken may name a new source; these are refused, and their source is one that nobody knows.
        hostile = [
            body(mark, source=f"quagga{mark}", **{field: f"quagga{mark}"})
            for mark in marks
            for field in ("kind", "category", "area", "origin", mark, "municipality", "occurred_at", "revision")
        ]
        service.take([Supply(decode_mappings(hostile), "test")], datetime.now(UTC))
        found = pages(service)
        text = service.metrics.page()[0].decode()
    finally:
        service.stop()
    assert "quagga" not in text
    assert found["earlywarning_events_total"][1][0].keys() == {"kind", "source", "outcome"}
    assert {"unknown", "other"} <= {s["source"] for s in found["earlywarning_events_total"][1]}
    assert {s["kind"] for s in found["earlywarning_events_total"][1]} == {"incident", "unknown"}
    for name, (_, _, bound) in DOCUMENTED.items():
        assert len(found[name][1]) <= bound, name
    assert sum(bound for _, _, bound in DOCUMENTED.values()) < 3_400


def test_a_gauge_of_alerts_goes_back_to_zero() -> None:
    metrics = Metrics()
    metrics.show_alerts([("surge", "open", 2)])
    metrics.show_alerts([("surge", "settled", 2)])
    assert metrics.registry.get_sample_value("earlywarning_alerts", {"tendency": "surge", "state": "open"}) == 0
    assert metrics.registry.get_sample_value("earlywarning_alerts", {"tendency": "surge", "state": "settled"}) == 2


def test_after_a_restart_the_page_knows_the_newest_event_of_each_source_and_the_fit(folder: Path) -> None:
    settings = load_settings(folder / "earlywarning.toml")
    past = history(5, days=440)
    before = Service.open(settings)
    take(before, past)
    first = before.metrics.registry
    before.stop()
    after = Service.open(settings)
    again = after.metrics.registry
    after.stop()
    for name, labels in (
        ("earlywarning_source_last_event_timestamp_seconds", {"source": "wardens"}),
        ("earlywarning_fit_timestamp_seconds", {}),
        ("earlywarning_clock_day_timestamp_seconds", {}),
        ("earlywarning_engines", {"state": "judging"}),
        ("earlywarning_false_alarm_budget_per_week", {}),
    ):
        value = first.get_sample_value(name, labels)
        assert value
        assert again.get_sample_value(name, labels) == value, name
    newest = max(e.recorded_at for e in past).timestamp()
    assert (
        0
        <= newest - (again.get_sample_value("earlywarning_source_last_event_timestamp_seconds", {"source": "wardens"}) or 0)
        < 3600
    )


def test_a_source_that_goes_silent_is_shown_as_silent_until_it_sends_again(folder: Path) -> None:
    service = Service.open(load_settings(folder / "earlywarning.toml"))

    def silent() -> float | None:
        return service.metrics.registry.get_sample_value("earlywarning_source_silent", {"source": "schools"})

    try:
        daily = [event(f"d{d}", BEGIN + timedelta(days=d)) for d in range(80)]
        of_schools = [event(f"c{d}", BEGIN + timedelta(days=d), source="schools") for d in range(40)]
        take(service, merged(daily[:41], of_schools))
        assert silent() == 0
        take(service, daily[41:70])
        assert silent() == 1
        take(service, [event(f"b{i}", BEGIN + timedelta(days=70), source="schools") for i in range(3)])
        take(service, daily[71:])
        assert silent() == 0
    finally:
        service.stop()


def test_a_slow_alert_leads_to_the_alert_in_openmetrics_only(folder: Path) -> None:
    service = Service.open(load_settings(folder / "earlywarning.toml"))
    try:
        take(service, history(5, days=440))
        alerts = {a.alert_id for a in service.store.alerts()}
        page, content_type = service.metrics.page("application/openmetrics-text; version=1.0.0")
        plain, plain_type = service.metrics.page()
    finally:
        service.stop()
    assert content_type.startswith("application/openmetrics-text")
    assert plain_type.startswith("text/plain")
    assert alerts & set(re.findall(r'# \{alert_id="([^"]+)"\}', page.decode()))
    assert b"alert_id" not in plain
    assert b"_created" not in page


def test_settings_that_are_refused_are_shown_until_they_are_mended(folder: Path) -> None:
    service = Service.open(load_settings(folder / "earlywarning.toml"))
    try:
        refused = lambda: service.metrics.registry.get_sample_value("earlywarning_settings_refused")  # noqa: E731
        good = service.settings
        service._changed(load_settings(folder / "earlywarning.toml"))
        assert refused() == 0
        (folder / "areas.geojson").write_text("{}")
        text = (folder / "earlywarning.toml").read_text().replace('name = "Testby"', 'name = "Annanby"')
        (folder / "earlywarning.toml").write_text(text)
        service._changed(load_settings(folder / "earlywarning.toml"))
        assert (refused(), service.settings) == (1, good)
        service._changed(good)
        assert refused() == 0
    finally:
        service.stop()
