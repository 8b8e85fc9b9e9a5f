"""Prometheus metrics of the service, named by Prometheus' conventions, with a bounded number of label values."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from earlywarning.core.alert_record import AlertChange
from earlywarning.core.events import KINDS

MOST_SOURCES = 200  # label values of `source`; further ones are counted together as "other"


class _Lateness(Collector):
    """A histogram of hours filled by whole arrays: one call for each event would cost more than its detection."""

    _hours = np.array([1, 6, 24, 48, 72, 168, 336, 672])

    def __init__(self) -> None:
        self._counts = {kind: np.zeros(len(self._hours) + 1, dtype=np.int64) for kind in KINDS}
        self._sums = dict.fromkeys(KINDS, 0.0)

    def add(self, kind: NDArray[np.int8], hours: NDArray[np.int64]) -> None:
        """Count events of these kinds with this lateness in hours."""
        for number, name in enumerate(KINDS):
            late = hours[kind == number]
            np.add.at(self._counts[name], np.searchsorted(self._hours, late), 1)
            self._sums[name] += float(late.sum()) * 3600

    def collect(self) -> Iterator[Metric]:
        """One histogram with the label `kind`."""
        family = HistogramMetricFamily(
            "earlywarning_event_lateness_seconds",
            "From the time an event happened (at the latest) to the time it was recorded.",
            labels=["kind"],
        )
        edges = [str(float(h * 3600)) for h in self._hours] + ["+Inf"]
        for kind, counts in self._counts.items():
            cumulated = np.cumsum(counts).tolist()
            family.add_metric([kind], buckets=list(zip(edges, cumulated, strict=True)), sum_value=self._sums[kind])
        yield family


class Metrics:
    """One service's metrics in a registry of their own, so that two services in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._sources: set[str] = set()
        own = self.registry
        self.events = Counter("earlywarning_events", "Events taken in.", ["kind", "source", "outcome"], registry=own)
        self.rejected = Counter("earlywarning_events_rejected", "Events refused, by rule.", ["rule"], registry=own)
        self.lateness = _Lateness()
        self.registry.register(self.lateness)
        self.to_alert = Histogram(
            "earlywarning_event_to_alert_seconds",
            "From the receipt of a batch to the storing of the alert changes that it caused.",
            buckets=[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
            registry=own,
        )
        self.last_event = Gauge(
            "earlywarning_source_last_event_timestamp_seconds",
            "When the newest event of a source was recorded.",
            ["source"],
            registry=own,
        )
        self.alert_changes = Counter("earlywarning_alert_changes", "Changes of alerts.", ["tendency", "change"], registry=own)
        self.alerts = Gauge("earlywarning_alerts", "Alerts kept, by state.", ["tendency", "state"], registry=own)
        self.data_notes = Counter("earlywarning_data_notes", "Artefacts of booking recognised.", ["what"], registry=own)
        self.dead_letters = Gauge("earlywarning_dead_letters_waiting", "Dead letters that wait for a person.", registry=own)
        self.clock = Gauge("earlywarning_clock_day_timestamp_seconds", "Start of the day that is open now.", registry=own)
        self.settings_errors = Counter("earlywarning_settings_errors", "Settings files refused at a reload.", registry=own)
        self.rebuild = Histogram(
            "earlywarning_engine_rebuild_seconds",
            "How long it took to rebuild a municipality's engine from its state.",
            buckets=[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
            registry=own,
        )
        self.messages = Counter(
            "earlywarning_messages", "Attempts to deliver messages: delivered, failed, dead.", ["channel", "outcome"], registry=own
        )
        self.messages_kept = Gauge(
            "earlywarning_messages_kept", "Messages of the outbox: waiting, dead.", ["channel", "state"], registry=own
        )
        self.oldest_message = Gauge(
            "earlywarning_oldest_message_age_seconds",
            "How long the oldest message that is due has waited.",
            ["channel"],
            registry=own,
        )
        self.breaker = Gauge(
            "earlywarning_channel_breaker", "1 for the state a channel's breaker is in.", ["channel", "state"], registry=own
        )
        self.polls = Counter("earlywarning_police_feed_polls", "Polls of the police's public feed.", ["status"], registry=own)

    def known_source(self, source: str | None) -> str:
        """The label for the source of a refused event: its name only when events of it were taken before."""
        return source if source in self._sources else "unknown"

    def source_label(self, source: str) -> str:
        """The label for a source: its name, or "other" when there are too many."""
        if source in self._sources:
            return source
        if len(self._sources) >= MOST_SOURCES:
            return "other"
        self._sources.add(source)
        return source

    def count_events(self, tally: Mapping[tuple[str, str, str], int]) -> None:
        """Count a batch by (kind, source, outcome)."""
        for (kind, source, outcome), n in tally.items():
            self.events.labels(kind, self.source_label(source), outcome).inc(n)

    def count_changes(self, changes: Sequence[AlertChange]) -> None:
        """Count what happened to alerts."""
        for change in changes:
            self.alert_changes.labels(change.alert.tendency, change.change).inc()

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
