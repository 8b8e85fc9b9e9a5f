"""Prometheus metrics of what the group has answered: one collector, read from the store when someone looks."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Answered(NamedTuple):
    """assessed: (tendency, assessment, how many alerts); stages: (stage, how many); median_seconds until acknowledged, None
    where none was."""

    assessed: Sequence[tuple[str, str, int]]
    stages: Sequence[tuple[str, int]]
    median_seconds: float | None


class AnswerMetrics(Collector):
    """Label values are tendencies, assessments and stages: some fifty series at the most, whatever the number of municipalities."""

    def __init__(self, read: Callable[[], Answered]) -> None:
        self._read = read

    def describe(self) -> list[Metric]:
        """Nothing is read while it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        told = self._read()
        assessed = GaugeMetricFamily(
            "earlywarning_alerts_assessed", "Alerts by what they were found to be.", labels=["tendency", "assessment"]
        )
        for tendency, assessment, n in told.assessed:
            assessed.add_metric([tendency, assessment], n)
        yield assessed
        stages = GaugeMetricFamily(
            "earlywarning_alerts_by_stage", "Alerts by what the group has done about them.", labels=["stage"]
        )
        for stage, n in told.stages:
            stages.add_metric([stage], n)
        yield stages
        if told.median_seconds is not None:
            yield GaugeMetricFamily(
                "earlywarning_alert_acknowledge_median_seconds",
                "From opening to acknowledgement, of alerts that were.",
                told.median_seconds,
            )
