"""Prometheus metrics of the service, named by Prometheus' conventions, with a bounded number of label values."""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from earlywarning.core.alert_record import AlertChange

MOST_SOURCES = 200  # label values of `source`; further ones are counted together as "other"
_DAY = 86_400.0


class Metrics:
    """One service's metrics in a registry of their own, so that two services in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._sources: set[str] = set()
        own = {"registry": self.registry}
        self.events = Counter("earlywarning_events", "Events taken in.", ["kind", "source", "outcome"], **own)
        self.rejected = Counter("earlywarning_events_rejected", "Events refused, by rule.", ["rule"], **own)
        self.lateness = Histogram(
            "earlywarning_event_lateness_seconds",
            "From the time an event happened (at the latest) to the time it was recorded.",
            ["kind"],
            buckets=[3600, 6 * 3600, _DAY, 2 * _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY],
            **own,
        )
        self.to_alert = Histogram(
            "earlywarning_event_to_alert_seconds",
            "From the receipt of a batch to the storing of the alert changes that it caused.",
            buckets=[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
            **own,
        )
        self.last_event = Gauge(
            "earlywarning_source_last_event_timestamp_seconds",
            "When the newest event of a source was recorded.",
            ["source"],
            **own,
        )
        self.alert_changes = Counter("earlywarning_alert_changes", "Changes of alerts.", ["tendency", "change"], **own)
        self.alerts = Gauge("earlywarning_alerts", "Alerts kept, by state.", ["tendency", "state"], **own)
        self.dead_letters = Gauge("earlywarning_dead_letters_waiting", "Dead letters that wait for a person.", **own)
        self.fit = Histogram(
            "earlywarning_fit_seconds",
            "Time to fit one slice of the baselines after a day has closed.",
            buckets=[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
            **own,
        )
        self.clock = Gauge("earlywarning_clock_day_timestamp_seconds", "Start of the day that is open now.", **own)
        self.settings_errors = Counter("earlywarning_settings_errors", "Settings files refused at a reload.", **own)
        self.polls = Counter("earlywarning_police_feed_polls", "Polls of the police's public feed.", ["status"], **own)

    def source_label(self, source: str) -> str:
        """The label for a source: its name, or "other" when there are too many."""
        if source in self._sources:
            return source
        if len(self._sources) >= MOST_SOURCES:
            return "other"
        self._sources.add(source)
        return source

    def count_events(self, items: Iterable[tuple[str, str, str]]) -> None:
        """Count (kind, source, outcome) of a batch."""
        for (kind, source, outcome), n in Tally(items).items():
            self.events.labels(kind, self.source_label(source), outcome).inc(n)

    def count_changes(self, changes: Sequence[AlertChange]) -> None:
        """Count what happened to alerts."""
        for change in changes:
            self.alert_changes.labels(change.alert.tendency, change.change).inc()

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
