"""Prometheus metrics of the service, named by Prometheus' conventions, with a bounded number of label values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector, disable_created_metrics
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from earlywarning import __version__
from earlywarning.core.alert_record import AlertChange, Change, State, Tendency
from earlywarning.core.events import KINDS

# In OpenMetrics each counter would come with one more series, the time at which it was made.
disable_created_metrics()  # type: ignore[no-untyped-call]
MOST_SOURCES = 200  # label values of `source`; further ones are counted together as "other"
TENDENCIES, STATES, CHANGES = get_args(Tendency), get_args(State), get_args(Change)


class Standing(NamedTuple):
    """How a municipality's engine stands on the day that is open.

    opened_at: start of that day in seconds since 1970, None before the first event. fitted_at: start of the day on
    which the baseline in force was fitted, None while there is too little history to judge. budget: alerts that chance alone
    may raise a week. silent: sources that are silent for longer than chance explains.
    """

    opened_at: float | None
    fitted_at: float | None
    budget: float
    silent: tuple[str, ...]


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
        self._standing: dict[str, Standing] = {}
        own = self.registry
        ProcessCollector(registry=own)
        self.info = Gauge("earlywarning_info", "What runs here.", ["version", "runtime", "clock"], registry=own)
        self.ready = Gauge("earlywarning_ready", "1 when events are taken, 0 while they are not.", registry=own)
        self.failures = Counter("earlywarning_failures", "Batches not taken and days not closed.", ["what"], registry=own)
        self.engines = Gauge(
            "earlywarning_engines", "Municipalities, by whether their counts can be judged.", ["state"], registry=own
        )
        self.fit = Gauge("earlywarning_fit_timestamp_seconds", "Start of the day of the oldest baseline in force.", registry=own)
        self.budget = Gauge(
            "earlywarning_false_alarm_budget_per_week", "Alerts that chance alone may raise a week, of all engines.", registry=own
        )
        self.silent = Gauge(
            "earlywarning_source_silent",
            "Municipalities in which the source is silent for longer than chance explains.",
            ["source"],
            registry=own,
        )
        self.lag = Gauge("earlywarning_kafka_lag_messages", "Messages that are not read yet.", ["topic"], registry=own)
        self.events = Counter("earlywarning_events", "Events taken in.", ["kind", "source", "outcome"], registry=own)
        self.late = Counter(
            "earlywarning_events_late",
            "Events that count, but came too late to raise an alert (events.lateness_days).",
            registry=own,
        )
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
        self.clock = Gauge(
            "earlywarning_clock_day_timestamp_seconds",
            "Start of the day that is open now, of the engine that is furthest behind.",
            registry=own,
        )
        self.settings_errors = Counter("earlywarning_settings_errors", "Settings files refused at a reload.", registry=own)
        self.settings_refused = Gauge(
            "earlywarning_settings_refused",
            "Settings whose newest text is refused, so that an older one is in force.",
            registry=own,
        )
        self.rebuild = Histogram(
            "earlywarning_engine_rebuild_seconds",
            "How long it took to rebuild a municipality's engine from its state.",
            buckets=[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
            registry=own,
        )
        self.messages = Counter(
            "earlywarning_deliveries",
            "Attempts to deliver messages: delivered, failed, dead.",
            ["channel", "outcome"],
            registry=own,
        )
        self.messages_kept = Gauge(
            "earlywarning_outbox_messages", "Messages of the outbox: waiting, dead.", ["channel", "state"], registry=own
        )
        self.oldest_message = Gauge(
            "earlywarning_outbox_oldest_seconds",
            "How long the oldest message that is due has waited.",
            ["channel"],
            registry=own,
        )
        self.breaker = Gauge(
            "earlywarning_channel_breaker", "1 for the state a channel's breaker is in.", ["channel", "state"], registry=own
        )
        self.forgotten = Counter(
            "earlywarning_forgotten", "Rows forgotten since they were kept long enough.", ["what"], registry=own
        )
        self.retention_run = Gauge(
            "earlywarning_retention_run_timestamp_seconds", "When retention was last enforced.", registry=own
        )
        self.polls = Counter("earlywarning_police_feed_polls", "Polls of the police's public feed.", ["status"], registry=own)
        # From the beginning: the first change of a series that was not there before is none to Prometheus.
        for tendency in TENDENCIES:
            for change in CHANGES:
                self.alert_changes.labels(tendency, change)
        for what in ("batch", "day", "retention"):
            self.failures.labels(what)

    def say_what_runs(self, runtime: str, clock: str) -> None:
        """runtime: embedded, worker or desk. clock: wall, or events."""
        self.info.clear()
        self.info.labels(__version__, runtime, clock).set(1)

    def show_alerts(self, counts: Sequence[tuple[str, str, int]]) -> None:
        """How many alerts are kept, by (tendency, state); what is not named there is none."""
        kept = {(tendency, state): n for tendency, state, n in counts}
        for tendency in TENDENCIES:
            for state in STATES:
                self.alerts.labels(tendency, state).set(kept.get((tendency, state), 0))

    def show_standing(self, municipality: str, standing: Standing) -> None:
        """How an engine stands. The figures of all engines of this process are shown together: no label for each."""
        gone = set(self._standing[municipality].silent) if municipality in self._standing else set()
        self._standing[municipality] = standing
        every = list(self._standing.values())
        fitted = [s.fitted_at for s in every if s.fitted_at is not None]
        self.clock.set(min((s.opened_at for s in every if s.opened_at is not None), default=0))
        self.engines.labels("judging").set(len(fitted))
        self.engines.labels("learning").set(len(every) - len(fitted))
        self.fit.set(min(fitted, default=0))
        self.budget.set(sum(s.budget for s in every))
        for source in gone | set(standing.silent):
            self.silent.labels(self.source_label(source)).set(sum(source in s.silent for s in every))

    def forget_standing(self) -> None:
        """The engines are another process's now."""
        self._standing.clear()
        for gauge in (self.engines, self.silent):
            gauge.clear()
        for single in (self.fit, self.budget, self.clock):
            single.set(0)

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

    def show_newest(self, newest: Mapping[str, int]) -> None:
        """By source, the hour (since 1970) in which its newest event was recorded."""
        for source, hour in newest.items():
            if hour:
                label = self.source_label(source)
                self.last_event.labels(label).set(hour * 3600)
                self.silent.labels(label)

    def count_events(self, tally: Mapping[tuple[str, str, str], int]) -> None:
        """Count a batch by (kind, source, outcome)."""
        for (kind, source, outcome), n in tally.items():
            self.events.labels(kind, self.source_label(source), outcome).inc(n)

    def count_changes(self, changes: Sequence[AlertChange]) -> None:
        """Count what happened to alerts."""
        for change in changes:
            self.alert_changes.labels(change.alert.tendency, change.change).inc()

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """The text that Prometheus reads, and its content type. accept: the request's header; exemplars are in OpenMetrics only."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
