"""Grafana's dashboards as code, in Swedish and English: `python deploy/grafana/dashboards.py` writes them beside this file.

Metrics know no areas (docs/metrics.md), so these pages show how the service, its suppliers and its alerts are doing; where and
why something rises is on the service's own pages, behind the rules about small cells.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, text, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as dashboard_models

Language = Literal["sv", "en"]
FOLDER = Path(__file__).parent
JOB = 'job=~"$job"'
STAT, LINES, BARS = "stat", "lines", "bars"


class Text(NamedTuple):
    """What a person reads."""

    sv: str
    en: str


class Panel(NamedTuple):
    """One question. queries: (PromQL, legend); without queries the description is all that is shown."""

    form: str
    title: Text
    description: Text
    queries: Sequence[tuple[str, str]] = ()
    unit: str = "short"
    decimals: int | None = None
    warn_from: float | None = None
    exemplars: bool = False


class Page(NamedTuple):
    """A dashboard: its name in addresses, its title, what it is for, how far it looks back."""

    name: str
    title: Text
    description: Text
    since: str
    panels: Sequence[Panel]


def _changes(by: str, which: str, days: int) -> str:
    """Changes of alerts in so many days. On Kafka worker and desk both count them: the greater number, not their sum."""
    group, labels = f"by ({by}) " if by else "", f", {by}" if by else ""
    matchers = f"{JOB}, {which}" if which else JOB
    return f"max {group}(sum by (job{labels}) (increase(earlywarning_alert_changes_total{{{matchers}}}[{days}d])))"


OPENED = 'change="opened", tendency!="severe"'
DEAD_LETTERS = Panel(
    STAT,
    Text("Avvisade händelser som väntar", "Refused events that wait"),
    Text("De väntar på en människa: earlywarning dead-letters.", "They wait for a person: earlywarning dead-letters."),
    [(f"sum(earlywarning_dead_letters_waiting{{{JOB}}})", "")],
    warn_from=20,
)
SILENT = Panel(
    BARS,
    Text("Tysta källor", "Silent sources"),
    Text(
        "1 där inget har kommit på längre tid än slumpen förklarar; på Kafka antal kommuner.",
        "1 where nothing has come for longer than chance explains; on Kafka the number of municipalities.",
    ),
    [(f"max by (source) (earlywarning_source_silent{{{JOB}}})", "{{source}}")],
    warn_from=1,
)
LATENESS = Panel(
    LINES,
    Text("Hur sent händelser registreras", "How late events are recorded"),
    Text(
        "Hälften respektive nio av tio är registrerade inom så lång tid efter att de skedde (28 dagar).",
        "Half, and nine in ten, are recorded within this time after they happened (28 days).",
    ),
    [
        (f"histogram_quantile({q}, sum by (kind, le) (increase(earlywarning_event_lateness_seconds_bucket{{{JOB}}}[28d])))", legend)
        for q, legend in ((0.5, "{{kind}} 50 %"), (0.9, "{{kind}} 90 %"))
    ],
    unit="s",
)
NOTES = Panel(
    LINES,
    Text("Registreringseffekter på sju dagar", "Artefacts of booking in seven days"),
    Text(
        "Hopade tider, eftersläpningar och annat som ser ut som en ökning utan att vara det.",
        "Heaps of times, backlogs and the like, which look like a rise and are none.",
    ),
    [(f"sum by (what) (increase(earlywarning_data_notes_total{{{JOB}}}[7d]))", "{{what}}")],
)


def _assessed(what: str) -> str:
    """Alerts that were assessed so, by tendency."""
    return f'sum by (tendency) (earlywarning_alerts_assessed{{{JOB}, assessment=~"{what}"}})'


HEALTH = Page(
    "service-health",
    Text("Tjänstens hälsa", "Service health"),
    Text(
        "För den som driver tjänsten. Reglerna om den förklaras i docs/operations.md.", "For operators. Rules: docs/operations.md."
    ),
    "now-6h",
    [
        Panel(
            STAT,
            Text("Tar emot händelser", "Takes events"),
            Text("1 ja, 0 nej.", "1 yes, 0 no."),
            [(f"min by (job, instance) (earlywarning_ready{{{JOB}}})", "{{job}} {{instance}}")],
        ),
        Panel(
            STAT,
            Text("Svarar", "Answers"),
            Text("1 ja, 0 nej.", "1 yes, 0 no."),
            [(f"up{{{JOB}}}", "{{job}} {{instance}}")],
        ),
        DEAD_LETTERS,
        Panel(
            STAT,
            Text("Avvisade inställningar", "Refused settings"),
            Text("Äldre gäller så länge.", "Older ones are in force meanwhile."),
            [(f"sum(earlywarning_settings_refused{{{JOB}}})", "")],
            warn_from=1,
        ),
        Panel(
            STAT,
            Text("Öppet dygn", "Open day"),
            Text(
                "Det dygn som räknas nu, där det ligger längst efter.", "The day that is counted now, where it is furthest behind."
            ),
            [(f"min by (job) (1000 * (earlywarning_clock_day_timestamp_seconds{{{JOB}}} > 0))", "{{job}}")],
            unit="dateTimeAsIso",
        ),
        Panel(
            LINES,
            Text("Händelser per sekund", "Events a second"),
            Text("Efter vad som blev av dem.", "By what became of them."),
            [(f"sum by (outcome) (rate(earlywarning_events_total{{{JOB}}}[$__rate_interval]))", "{{outcome}}")],
            unit="cps",
        ),
        Panel(
            LINES,
            Text("Från händelse till varning", "From event to alert"),
            Text(
                "Från mottagen sändning till lagrad varning; punkterna leder till varningarnas id.",
                "From receipt of a batch to the stored alert; the dots name the alerts.",
            ),
            [
                (f"histogram_quantile({q}, sum by (le) (rate(earlywarning_event_to_alert_seconds_bucket{{{JOB}}}[1h])))", legend)
                for q, legend in ((0.5, "50 %"), (0.99, "99 %"))
            ],
            unit="s",
            exemplars=True,
        ),
        Panel(
            LINES,
            Text("Fel", "Failures"),
            Text(
                "Sändningar som inte kunde tas emot och dygn som inte kunde avslutas, per timme.",
                "Batches that were not taken and days that could not be closed, in an hour.",
            ),
            [(f"sum by (what) (increase(earlywarning_failures_total{{{JOB}}}[1h]))", "{{what}}")],
        ),
        Panel(
            LINES,
            Text("Minne", "Memory"),
            Text("Processens eget.", "The process' own."),
            [(f"process_resident_memory_bytes{{{JOB}}}", "{{job}} {{instance}}")],
            unit="bytes",
        ),
        Panel(
            LINES,
            Text("Processortid", "Processor time"),
            Text("1 är en hel kärna.", "1 is one whole core."),
            [(f"rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval])", "{{job}} {{instance}}")],
        ),
        Panel(
            LINES,
            Text("Tid sedan start", "Time since start"),
            Text("Faller till noll vid omstart.", "Falls to zero at a restart."),
            [(f"time() - process_start_time_seconds{{{JOB}}}", "{{job}} {{instance}}")],
            unit="s",
        ),
        Panel(
            LINES,
            Text("Tid att byggas upp igen", "Time to rebuild"),
            Text(
                "Nio av tio kommuner är åter på plats inom så lång tid efter en omstart.",
                "Nine in ten municipalities are back within this time after a restart.",
            ),
            [(f"histogram_quantile(0.9, sum by (job, le) (earlywarning_engine_rebuild_seconds_bucket{{{JOB}}}))", "{{job}}")],
            unit="s",
        ),
        Panel(
            LINES,
            Text("Olästa meddelanden (Kafka)", "Unread messages (Kafka)"),
            Text("Av arbetarnas egna partitioner.", "Of the workers' own partitions."),
            [(f"sum by (topic) (earlywarning_kafka_lag_messages{{{JOB}}})", "{{topic}}")],
        ),
        Panel(
            LINES,
            Text("Meddelanden i utkorgen", "Messages in the outbox"),
            Text("De som väntar, och de som gavs upp, per kanal.", "Those that wait, and those given up, by channel."),
            [(f"sum by (channel, state) (earlywarning_outbox_messages{{{JOB}}})", "{{channel}} {{state}}")],
        ),
        Panel(
            LINES,
            Text("Det äldsta som väntar", "The oldest that waits"),
            Text("Mer än en halvtimme är för länge.", "More than half an hour is too long."),
            [(f"max by (channel) (earlywarning_outbox_oldest_seconds{{{JOB}}})", "{{channel}}")],
            unit="s",
            warn_from=1800,
        ),
        Panel(
            LINES,
            Text("Leveranser per dygn", "Deliveries a day"),
            Text("Efter kanal och utfall.", "By channel and outcome."),
            [(f"sum by (channel, outcome) (increase(earlywarning_deliveries_total{{{JOB}}}[1d]))", "{{channel}} {{outcome}}")],
        ),
        Panel(
            LINES,
            Text("Kanaler som vilar", "Channels that rest"),
            Text(
                "1: kanalen har felat så ofta att den får vila; half-open: den prövas.",
                "1: the channel failed so often that it rests; half-open: it is tried.",
            ),
            [(f'max by (channel, state) (earlywarning_channel_breaker{{{JOB}, state!="closed"}})', "{{channel}} {{state}}")],
        ),
        Panel(
            LINES,
            Text("Ledigt på disk", "Free on disk"),
            Text("Från node_exporter, där den körs.", "From node_exporter, where it runs."),
            [
                (
                    'node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|squashfs|iso9660|overlay"} / node_filesystem_size_bytes',
                    "{{instance}} {{mountpoint}}",
                )
            ],
            unit="percentunit",
        ),
    ],
)

SITUATION = Page(
    "situation",
    Text("Lägesbild", "Situational picture"),
    Text("Varningar och händelser i hela kommunen.", "Alerts and events in the whole municipality."),
    "now-28d",
    [
        Panel(
            "text",
            Text("Vad som visas här", "What is shown here"),
            Text(
                "Hela kommunens varningar och händelser. **Var** något ökar, och **varför** det varnas, står på tjänstens egna sidor: "
                "små tal per område lämnar inte gruppen. Fler anmälningar än väntat behöver inte betyda att mer har hänt.",
                "Alerts and events of the whole municipality. **Where** something rises, and **why** there is an alert, is on the "
                "service's own pages: small numbers by area do not leave the group. More reports than expected need not mean that "
                "more has happened.",
            ),
        ),
        Panel(
            STAT,
            Text("Öppna varningar", "Open alerts"),
            Text("Varningar som följs nu.", "Alerts that are followed now."),
            [(f'sum(earlywarning_alerts{{{JOB}, state="open"}})', "")],
        ),
        Panel(
            STAT,
            Text("Därav allvarliga", "Severe ones"),
            Text("Allvarliga och sällsynta händelser.", "Severe and rare events."),
            [(f'sum(earlywarning_alerts{{{JOB}, state="open", tendency="severe"}})', "")],
            warn_from=1,
        ),
        Panel(
            STAT,
            Text("Händelser, sju dagar", "Events, seven days"),
            Text("Mottagna, oavsett när de skedde.", "Taken, whenever they happened."),
            [(f'sum by (kind) (increase(earlywarning_events_total{{{JOB}, outcome="accepted"}}[7d]))', "{{kind}}")],
            decimals=0,
        ),
        Panel(
            BARS,
            Text("Öppna varningar efter tendens", "Open alerts by tendency"),
            Text("Vad varningarna handlar om.", "What the alerts are about."),
            [(f'sum by (tendency) (earlywarning_alerts{{{JOB}, state="open"}})', "{{tendency}}")],
        ),
        Panel(
            LINES,
            Text("Nya varningar på sju dagar", "New alerts in seven days"),
            Text("Rullande, efter tendens.", "Rolling, by tendency."),
            [(_changes("tendency", 'change="opened"', 7), "{{tendency}}")],
            decimals=0,
        ),
        Panel(
            LINES,
            Text("Händelser per dygn", "Events a day"),
            Text("Mottagna på ett dygn, efter slag.", "Taken in a day, by kind."),
            [(f'sum by (kind) (increase(earlywarning_events_total{{{JOB}, outcome="accepted"}}[1d]))', "{{kind}}")],
            decimals=0,
        ),
        Panel(
            LINES,
            Text("Vad som hände med varningarna", "What became of alerts"),
            Text("På sju dagar.", "In seven days."),
            [(_changes("change", "", 7), "{{change}}")],
            decimals=0,
        ),
        SILENT,
        NOTES,
    ],
)

DETECTION = Page(
    "detection-quality",
    Text("Varningarnas kvalitet", "Detection quality"),
    Text("Hur många varningar det blir mot vad som är lovat.", "How many alerts there are, against what is promised."),
    "now-90d",
    [
        Panel(
            STAT,
            Text("Budget: falska varningar per vecka", "Budget: false alarms a week"),
            Text("Så många varningar får slumpen ensam ge.", "So many alerts may chance alone raise."),
            [(f"sum(earlywarning_false_alarm_budget_per_week{{{JOB}}})", "")],
        ),
        Panel(
            STAT,
            Text("Varningar per vecka, fyra veckor", "Alerts a week, four weeks"),
            Text("Sanna och falska, utom allvarliga.", "True and false ones, but for severe."),
            [(f"{_changes('', OPENED, 28)} / 4", "")],
            decimals=1,
        ),
        Panel(
            STAT,
            Text("Baslinjens ålder", "Age of the baseline"),
            Text("Den görs om var fjärde måndag.", "It is made anew every fourth Monday."),
            [(f"max(time() - (earlywarning_fit_timestamp_seconds{{{JOB}}} > 0))", "")],
            unit="s",
        ),
        Panel(
            STAT,
            Text("Kommuner", "Municipalities"),
            Text("judging: bedöms; learning: för kort historik.", "Those learning have too little history to be judged."),
            [(f"sum by (state) (earlywarning_engines{{{JOB}}})", "{{state}}")],
        ),
        Panel(
            LINES,
            Text("Varningar mot budget, fyra veckor", "Alerts against budget, four weeks"),
            Text(
                "Budgeten är vad slumpen ensam ger; verkliga ökningar kommer till.",
                "The budget is what chance alone gives; real rises come on top.",
            ),
            [
                (_changes("", OPENED, 28), "opened"),
                (f"4 * sum(earlywarning_false_alarm_budget_per_week{{{JOB}}})", "budget"),
            ],
            decimals=0,
        ),
        Panel(
            LINES,
            Text("Andel varningar som återtogs", "Share of alerts withdrawn"),
            Text(
                "Rättade uppgifter tog bort grunden för dem. Fyra veckor.",
                "Corrections took their ground away. Four weeks.",
            ),
            [(_changes("", 'change="withdrawn"', 28) + " / " + _changes("", 'change="opened"', 28), "")],
            unit="percentunit",
        ),
        Panel(
            BARS,
            Text("Varningar efter tillstånd", "Alerts by state"),
            Text("Alla som är sparade.", "All that are kept."),
            [(f"sum by (state) (earlywarning_alerts{{{JOB}}})", "{{state}}")],
        ),
        Panel(
            BARS,
            Text("Varningar efter tendens", "Alerts by tendency"),
            Text("Alla som är sparade.", "All that are kept."),
            [(f"sum by (tendency) (earlywarning_alerts{{{JOB}}})", "{{tendency}}")],
        ),
        Panel(
            BARS,
            Text("Varningar efter gruppens bedömning", "Alerts by the group's assessment"),
            Text(
                "confirmed: bekräftade; known-cause: förklarade; false-alarm: falska; data-fault: fel i uppgifterna.",
                "Confirmed, explained by a known cause, false, or a fault of the data.",
            ),
            [(f"sum by (assessment) (earlywarning_alerts_assessed{{{JOB}}})", "{{assessment}}")],
        ),
        Panel(
            BARS,
            Text("Andel bekräftade efter tendens", "Share confirmed by tendency"),
            Text(
                "Av dem som gruppen har bedömt. Med få bedömda säger andelen litet: earlywarning learning ger intervall.",
                "Of those that the group has assessed. Of few the share says little: earlywarning learning gives intervals.",
            ),
            [(f"{_assessed('confirmed')} / {_assessed('.+')}", "{{tendency}}")],
            unit="percentunit",
        ),
        Panel(
            STAT,
            Text("Tid till kvittering, median", "Time to acknowledgement, median"),
            Text("Från det att varningen öppnades.", "From the moment at which the alert was opened."),
            [(f"max(earlywarning_alert_acknowledge_median_seconds{{{JOB}}})", "")],
            unit="s",
        ),
        LATENESS,
        NOTES,
    ],
)

SUPPLIERS = Page(
    "suppliers",
    Text("Leverantörer", "Suppliers"),
    Text("Vad som kommer in, från vem, och vad som avvisas.", "What comes in, from whom, and what is refused."),
    "now-28d",
    [
        DEAD_LETTERS,
        Panel(
            STAT,
            Text("Tid sedan senaste händelse", "Time since the newest event"),
            Text("Per källa; registreringens tid.", "By source; the time of recording."),
            [(f"min by (source) (time() - earlywarning_source_last_event_timestamp_seconds{{{JOB}}})", "{{source}}")],
            unit="s",
        ),
        SILENT,
        Panel(
            LINES,
            Text("Händelser per dygn och källa", "Events a day by source"),
            Text("Mottagna, nya och rättade.", "Taken, new and corrected ones."),
            [
                (
                    f'sum by (source) (increase(earlywarning_events_total{{{JOB}, outcome=~"accepted|replaced"}}[1d]))',
                    "{{source}}",
                )
            ],
            decimals=0,
        ),
        Panel(
            LINES,
            Text("Andel avvisade per källa", "Share refused by source"),
            Text("På ett dygn. unknown: källan är inte känd.", "In a day. unknown: a source that is not known."),
            [
                (
                    f'sum by (source) (increase(earlywarning_events_total{{{JOB}, outcome="rejected"}}[1d])) '
                    f"/ sum by (source) (increase(earlywarning_events_total{{{JOB}}}[1d]))",
                    "{{source}}",
                )
            ],
            unit="percentunit",
        ),
        Panel(
            LINES,
            Text("Avvisade per dygn och regel", "Refused a day by rule"),
            Text("Vilken regel de bröt mot.", "Which rule they broke."),
            [(f"sum by (rule) (increase(earlywarning_events_rejected_total{{{JOB}}}[1d]))", "{{rule}}")],
            decimals=0,
        ),
        LATENESS,
        Panel(
            LINES,
            Text("Polisens öppna flöde", "The police's public feed"),
            Text("Hämtningar per dygn, efter utfall.", "Polls a day, by outcome."),
            [(f"sum by (status) (increase(earlywarning_police_feed_polls_total{{{JOB}}}[1d]))", "{{status}}")],
            decimals=0,
        ),
        NOTES,
    ],
)

PAGES = (HEALTH, SITUATION, DETECTION, SUPPLIERS)
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")


def _builder(panel: Panel) -> Any:
    """A panel of its form. The library's panels share no type with the methods that are used here."""
    if panel.form == STAT:
        made: Any = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        return made.graph_mode(models.BigValueGraphMode.NONE)
    if panel.form == BARS:
        bars = bargauge.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        return bars.orientation(models.VizOrientation.HORIZONTAL)
    return timeseries.Panel().min(0).fill_opacity(10).show_points(models.VisibilityMode.NEVER)


def _places(panels: Sequence[Panel]) -> Iterator[dashboard_models.GridPos]:
    """Rows of the grid, 24 wide: single figures share a row, of the others two stand beside each other."""
    y = 0
    for form, group in groupby(panels, key=lambda p: p.form if p.form in (STAT, "text") else LINES):
        together = len(list(group))
        beside = {STAT: together, "text": 1}.get(form, 2)
        high = {STAT: 5, "text": 4}.get(form, 8)
        for i in range(together):
            yield dashboard_models.GridPos(h=high, w=24 // beside, x=24 // beside * (i % beside), y=y + high * (i // beside))
        y += high * -(-together // beside)


def _panel(panel: Panel, language: Language) -> Any:
    title, description = getattr(panel.title, language), getattr(panel.description, language)
    if not panel.queries:
        return text.Panel().title(title).content(description)
    made = _builder(panel).title(title).description(description).datasource(SOURCE).unit(panel.unit)
    if panel.decimals is not None:
        made = made.decimals(panel.decimals)
    steps = [dashboard_models.Threshold(value=None, color="text")]
    if panel.warn_from is not None:
        steps.append(dashboard_models.Threshold(value=panel.warn_from, color="orange"))
    made = made.thresholds(dashboard.ThresholdsConfig().mode(dashboard_models.ThresholdsMode.ABSOLUTE).steps(steps))
    for number, (expr, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expr).ref_id(chr(ord("A") + number)).datasource(SOURCE)
        # Figures of now are asked for now: over months a range would be computed to show its last point.
        query = query.range() if panel.form == LINES else query.instant()
        made = made.with_target(query.legend_format(legend or "__auto").exemplar(panel.exemplars))
    return made


def build(page: Page, language: Language) -> str:
    """A dashboard as JSON, as it is provisioned."""
    job = (
        dashboard.QueryVariable("job")
        .label({"sv": "Tjänst", "en": "Service"}[language])
        .datasource(SOURCE)
        .query("label_values(earlywarning_info, job)")
        .refresh(dashboard_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value("earlywarning.*")
    )
    made = (
        dashboard.Dashboard(getattr(page.title, language))
        .uid(f"earlywarning-{page.name}-{language}")
        .description(getattr(page.description, language))
        .tags(["earlywarning"])
        .readonly()
        .time(page.since, "now")
        .refresh("1m")
        .timezone("browser")
        .week_start("monday")
        .link(dashboard.DashboardLink("earlywarning").type(dashboard_models.DashboardLinkType.DASHBOARDS).tags(["earlywarning"]))
        .with_variable(
            dashboard.DatasourceVariable("datasource").label({"sv": "Källa", "en": "Source"}[language]).type("prometheus")
        )
        .with_variable(job)
    )
    for panel, place in zip(page.panels, _places(page.panels), strict=True):
        made = made.with_panel(_panel(panel, language).grid_pos(place))
    return str(JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(made.build())) + "\n"


def files() -> dict[Path, str]:
    """All dashboards, by the path below this folder."""
    languages: tuple[Language, ...] = ("sv", "en")
    return {Path(language) / f"{page.name}.json": build(page, language) for language in languages for page in PAGES}


def main() -> None:
    for path, content in files().items():
        (FOLDER / path).parent.mkdir(exist_ok=True)
        (FOLDER / path).write_text(content)
        print(FOLDER.name + "/" + str(path), file=sys.stderr)


if __name__ == "__main__":
    main()
