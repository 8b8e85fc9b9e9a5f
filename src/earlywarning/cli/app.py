"""The command line's entry: sub-commands, and errors in words for the person who must act."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Group, Parameter

from earlywarning import __version__
from earlywarning.cli.access_commands import accounts_app, tokens_app
from earlywarning.cli.group import answer, briefing, learning
from earlywarning.cli.lab import tune
from earlywarning.cli.model import model_app
from earlywarning.cli.options import LanguageOption, SettingsFile, TokenFile
from earlywarning.cli.place import OperatorError
from earlywarning.cli.plan import plan_app
from earlywarning.cli.routes import mute_app, routes_app
from earlywarning.cli.safekeeping import backup, restore, verify
from earlywarning.cli.settings_commands import back, draft_app, versions

_OPERATOR = Group.create_ordered("Operators")
_ANALYST = Group.create_ordered("Coordinators and analysts")
_SUPPLIER = Group.create_ordered("Suppliers of events")

app = App(
    name="earlywarning",
    version=__version__,
    help="Early warning for joint crime prevention: events in, rolling counts per area and category, explained alerts out.",
)
settings_app = App(name="settings", help="Check, show and compare settings.", group=_OPERATOR)
letters_app = App(name="dead-letters", help="Refused events: list them, and replay them after mending.", group=_OPERATOR)
topics_app = App(name="topics", help="The topics of the service on Kafka: make and check them.", group=_OPERATOR)
channels_app = App(name="channels", help="Where messages go: list the channels, and test one.", group=_OPERATOR)
outbox_app = App(name="outbox", help="Messages on their way: list them, and have those given up tried again.", group=_OPERATOR)
for named in (channels_app, outbox_app, settings_app, letters_app, topics_app, accounts_app, tokens_app):
    app.command(named)
settings_app.command(draft_app)
settings_app.command(versions)
settings_app.command(back)
accounts_app.group = tokens_app.group = (_OPERATOR,)
app.command(model_app)
for command in (answer, learning, briefing, tune):
    app.command(command, group=_ANALYST)
app.command(backup, group=_OPERATOR)
app.command(restore, group=_OPERATOR)
app.command(verify, group=_OPERATOR)
app.command(routes_app)
app.command(mute_app)
app.command(plan_app)


@app.command(group=_OPERATOR)
def run(
    *,
    settings: SettingsFile = None,
    municipality: Annotated[str, Parameter(help="Code of a Swedish municipality: follow the police's public feed.")] = "",
    host: str = "",
    port: int | None = None,
    replay_only: Annotated[bool, Parameter(help="End after the replay of the demonstration.", negative="")] = False,
) -> None:
    """Start the service. Without settings it replays the bundled demonstration first."""
    from earlywarning.cli.serve import run_service  # noqa: PLC0415  # a command loads only what it needs

    run_service(settings, municipality, host, port, replay_only=replay_only)


@app.command(group=_SUPPLIER)
def ingest(
    *files: Path,
    settings: SettingsFile = None,
    mapping: Annotated[str, Parameter(name=["--mapping", "-m"], help="A column mapping of the settings.")] = "",
    to: Annotated[str, Parameter(help="Send to a running service, such as http://127.0.0.1:8620.")] = "",
    token_file: TokenFile = None,
    as_history: Annotated[bool, Parameter(help="Of the past: count them, judge none of their days.", negative="")] = False,
) -> None:
    """Take in events from CSV or JSON Lines files, plain or .gz."""
    from earlywarning.cli.feeding import ingest_files  # noqa: PLC0415  # a command loads only what it needs

    ingest_files(files, settings, mapping, to, token_file, as_history=as_history)


@app.command(group=_SUPPLIER)
def produce(
    *files: Path,
    settings: SettingsFile = None,
    mapping: Annotated[str, Parameter(name=["--mapping", "-m"], help="A column mapping of the settings.")] = "",
    as_history: Annotated[bool, Parameter(help="Of the past: count them, judge none of their days.", negative="")] = False,
) -> None:
    """Send events of files to the service on Kafka, in batches, as a supplier would."""
    from earlywarning.cli.kafka import produce_files  # noqa: PLC0415  # a command loads only what it needs

    produce_files(files, settings, mapping, as_history=as_history)


@app.command(group=_OPERATOR)
def worker(*, settings: SettingsFile = None) -> None:
    """Run a worker of the service on Kafka: as many as are needed, on as many machines."""
    from earlywarning.cli.kafka import run_kafka_worker  # noqa: PLC0415  # a command loads only what it needs

    run_kafka_worker(settings)


@app.command(group=_OPERATOR)
def desk(*, settings: SettingsFile = None, host: str = "", port: int | None = None) -> None:
    """Run the desk of the service on Kafka: keeps alerts and counts in the SQL store and serves the HTTP interface."""
    from earlywarning.cli.kafka import run_desk  # noqa: PLC0415  # a command loads only what it needs

    run_desk(settings, host, port)


@topics_app.command(name="create")
def topics_create(*, settings: SettingsFile = None) -> None:
    """Make the topics that are missing, with the right partitions, compaction and retention."""
    from earlywarning.cli.kafka import make_topics  # noqa: PLC0415  # a command loads only what it needs

    make_topics(settings)


@topics_app.command(name="check")
def topics_check(*, settings: SettingsFile = None) -> None:
    """Whether the topics are as they must be; workers and desk refuse to run on others."""
    from earlywarning.cli.kafka import check_topics  # noqa: PLC0415  # a command loads only what it needs

    check_topics(settings)


@settings_app.command(name="publish")
def settings_publish(*files: Path, settings: SettingsFile = None) -> None:
    """Put settings of municipalities in force in all workers; --settings names the file with [kafka], else the first."""
    from earlywarning.cli.kafka import publish_settings  # noqa: PLC0415  # a command loads only what it needs

    publish_settings(files, settings)


@app.command(group=_SUPPLIER)
def schema(kind: Literal["incident", "report", "webhook"]) -> None:
    """Print the JSON Schema of an event, or of the messages that webhooks get."""
    from earlywarning.cli.showing import print_schema  # noqa: PLC0415  # a command loads only what it needs

    print_schema(kind)


@app.command(group=_ANALYST, name="detect")
def run_detect(
    method: Annotated[str, Parameter(help="farrington-flexible, farrington, ears-c1, bayes1, rki1, cusum, glr-pois, glr-nb, ...")],
    table: Annotated[Path, Parameter(help="CSV table: a header of series names, a row for each time step.")],
    *,
    weeks: Annotated[str, Parameter(help="FIRST:LAST judged step, from 1 (default: all with enough history).")] = "",
    set_: Annotated[tuple[str, ...], Parameter(name="--set", help="A setting, NAME=VALUE, by R's name or ours.")] = (),
    frequency: Annotated[int, Parameter(help="Time steps in a year.")] = 52,
    start: Annotated[str, Parameter(help="The first row's time, YEAR:STEP or a date; said with the judged range.")] = "",
    population: Annotated[Path | None, Parameter(help="CSV table of the population, for populationOffset.")] = None,
    mu0: Annotated[Path | None, Parameter(help="CSV table of expectations, for cusum and glr charts.")] = None,
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], allow_leading_hyphen=True, help="CSV file; - for standard output.")
    ] = Path("-"),
) -> None:
    """Apply a method to any table of counts."""
    from earlywarning.cli.detect import run_detect as run  # noqa: PLC0415  # a command loads only what it needs

    run(method, table, weeks, set_, frequency, start, population, mu0, out)


@app.command(group=_ANALYST, name="backtest")
def run_backtest(
    *,
    areas: Annotated[Path, Parameter(help="GeoJSON file of the areas.")],
    categories: Annotated[Path, Parameter(help="CSV file: code,parent,name_sv,name_en,... or code,group,kind.")],
    events: Annotated[tuple[Path, ...], Parameter(help="Event files: CSV or JSON Lines, plain or gzip.")],
    first: Annotated[date, Parameter(name="--from", help="First judged day; what is earlier is history.")],
    last: Annotated[date | None, Parameter(name="--to", help="Last judged day (default: the newest).")] = None,
    budget: Annotated[float | None, Parameter(help="False alarms a week for the whole municipality.")] = None,
    settings: Annotated[
        Path | None, Parameter(name=["--settings", "-s"], help="Settings file to judge with (default: the defaults).")
    ] = None,
    values: Annotated[
        tuple[str, ...], Parameter(name="--set", negative="", help="A key of the settings to try, as detection.min_count=4.")
    ] = (),
    mapping: Annotated[
        str, Parameter(name=["--mapping", "-m"], help="A mapping of the settings, for files with other columns.")
    ] = "",
    out: Annotated[
        Path,
        Parameter(
            name=["--out", "-o"], help="File for the alerts, .csv, .parquet or .json; - for CSV here.", allow_leading_hyphen=True
        ),
    ] = Path("-"),
) -> None:
    """Which alerts would these settings have given on a history?"""
    from earlywarning.cli.backtest import run_backtest as run  # noqa: PLC0415  # a command loads only what it needs

    run(areas, categories, events, first, last, budget, settings, values, mapping, out)


@app.command(group=_ANALYST)
def alerts(
    alert_id: str = "",
    *,
    settings: SettingsFile = None,
    state: Annotated[tuple[Literal["open", "settled", "withdrawn"], ...], Parameter(negative="")] = (),
    since: date | None = None,
    until: date | None = None,
    limit: int | None = None,
    format: Literal["table", "csv", "json"] = "table",  # the option's name
    language: LanguageOption = None,
) -> None:
    """List alerts, or explain one of them. The dates are those on which alerts were opened."""
    from earlywarning.cli.showing import show_alerts  # noqa: PLC0415  # a command loads only what it needs

    show_alerts(settings, alert_id, state, since, until, limit, format, language)


@app.command(group=_ANALYST)
def counts(
    *,
    settings: SettingsFile = None,
    first: date | None = None,
    last: date | None = None,
    area: Annotated[tuple[str, ...], Parameter(negative="", help="Codes, or level:N for all of a level.")] = (),
    category: Annotated[tuple[str, ...], Parameter(negative="", help="Codes, or level:N for all of a level.")] = (),
    kind: Annotated[tuple[Literal["incident", "report"], ...], Parameter(negative="")] = (),
    origin: Annotated[tuple[Literal["reported", "discovered", "tasked"], ...], Parameter(negative="")] = (),
    window: Annotated[int, Parameter(help="Days: the count of the window ending on each day.")] = 1,
    by_origin: Annotated[bool, Parameter(negative="")] = False,
    zeros: Annotated[bool, Parameter(negative="", help="Also rows with a count of zero.")] = False,
    outside: Annotated[
        bool, Parameter(negative="", help="To be handed on: whole weeks, small counts hidden ([disclosure]).")
    ] = False,
    format: Literal["table", "csv", "json", "parquet"] = "table",  # the option's name
    out: Annotated[Path | None, Parameter(name=["--out", "-o"], help="File to write to.")] = None,
) -> None:
    """Counts of any selection by local day or rolling window; without --first the last 28 days.

    With --outside the weeks from --first to --last, of each area and of each group of categories, for readers outside the group.
    """
    if outside:
        from earlywarning.cli.handing_on import hand_on_counts  # noqa: PLC0415  # a command loads only what it needs

        chosen = bool(area or category or kind or origin or by_origin or zeros or window != 1)
        hand_on_counts(settings, first, last, "csv" if format == "table" else format, out, chosen=chosen)
        return
    from earlywarning.cli.showing import show_counts  # noqa: PLC0415  # a command loads only what it needs

    show_counts(settings, first, last, area, category, kind, origin, window, by_origin, zeros, format, out)


@app.command(group=_ANALYST)
def quality(
    *,
    settings: SettingsFile = None,
    since: date | None = None,
    until: date | None = None,
    limit: int | None = None,
    format: Literal["table", "json"] = "table",  # the option's name
    language: LanguageOption = None,
) -> None:
    """What was recognised as an artefact of booking: heaps, bursts, backlogs, filled gaps, changed place coding."""
    from earlywarning.cli.showing import show_quality  # noqa: PLC0415  # a command loads only what it needs

    show_quality(settings, since, until, limit, format, language)


@app.command(group=_OPERATOR)
def documents(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="Folder for the files.")],
    settings: SettingsFile = None,
    language: LanguageOption = None,
) -> None:
    """Impact assessment, record of processing, method card, algorithm register, evidence under law 2023:196: as things are now."""
    from earlywarning.cli.documents import write_documents  # noqa: PLC0415  # a command loads only what it needs

    write_documents(settings, out, language, datetime.now(UTC))


@letters_app.default
def letters_list(
    *,
    settings: SettingsFile = None,
    rule: str | None = None,
    source: str | None = None,
    limit: int = 20,
    format: Literal["table", "json"] = "table",  # the option's name
) -> None:
    """How many refused events wait, by rule and source, and the first of them."""
    from earlywarning.cli.showing import show_letters  # noqa: PLC0415  # a command loads only what it needs

    show_letters(settings, rule, source, limit, format)


@letters_app.command(name="replay")
def letters_replay(
    *,
    settings: SettingsFile = None,
    rule: str | None = None,
    source: str | None = None,
    to: Annotated[str, Parameter(help="A running service that is asked to, such as http://127.0.0.1:8620.")] = "",
    token_file: TokenFile = None,
) -> None:
    """Take refused events in again, after a mapping or register was mended."""
    from earlywarning.cli.feeding import replay_letters  # noqa: PLC0415  # a command loads only what it needs

    replay_letters(settings, rule, source, to, token_file)


@settings_app.command(name="check")
def settings_check(file: Path | None = None) -> None:
    """Check a settings file and the registers that it names: all errors at once."""
    from earlywarning.cli.showing import check_settings  # noqa: PLC0415  # a command loads only what it needs

    check_settings(file)


@settings_app.command(name="show")
def settings_show(*, settings: SettingsFile = None, number: int | None = None) -> None:
    """Every key with its value in force, or a version that was in force."""
    from earlywarning.cli.showing import show_settings  # noqa: PLC0415  # a command loads only what it needs

    show_settings(settings, number)


@settings_app.command(name="diff")
def settings_diff(old: int | None = None, new: int | None = None, *, settings: SettingsFile = None) -> None:
    """What differs between two versions that were in force, or between the last one and the file; without
    numbers, the versions are listed as well."""
    from earlywarning.cli.showing import diff_versions  # noqa: PLC0415  # a command loads only what it needs

    diff_versions(settings, old, new)


@channels_app.command(name="list")
def channels_list(*, settings: SettingsFile = None) -> None:
    """The channels, where each goes, and how many of its messages wait or were given up."""
    from earlywarning.cli.outbox import list_channels  # noqa: PLC0415  # a command loads only what it needs

    list_channels(settings)


@channels_app.command(name="test")
def channels_test(
    name: str,
    *,
    to: Annotated[str, Parameter(help="A mail address, for mail.")] = "",
    settings: SettingsFile = None,
    language: LanguageOption = None,
) -> None:
    """Send a test message by a channel at once, and say what happened."""
    from earlywarning.cli.outbox import try_channel  # noqa: PLC0415  # a command loads only what it needs

    try_channel(settings, name, to, language)


@outbox_app.command(name="list")
def outbox_list(
    *,
    settings: SettingsFile = None,
    state: Annotated[tuple[Literal["waiting", "delivered", "dead", "dropped"], ...], Parameter(negative="")] = (),
    limit: int | None = 100,
    format: Literal["table", "json"] = "table",  # the option's name
) -> None:
    """Messages, the newest first; without --state, those that wait and those that were given up."""
    from earlywarning.cli.outbox import list_outbox  # noqa: PLC0415  # a command loads only what it needs

    list_outbox(settings, state, limit, format)


@outbox_app.command(name="retry")
def outbox_retry(
    *numbers: int,
    settings: SettingsFile = None,
    to: Annotated[str, Parameter(help="A running service that is asked to, such as http://127.0.0.1:8620.")] = "",
    token_file: TokenFile = None,
) -> None:
    """Have messages that were given up tried again; without numbers, all of them."""
    from earlywarning.cli.outbox import retry_outbox  # noqa: PLC0415  # a command loads only what it needs

    retry_outbox(settings, numbers, to, token_file)


def main() -> None:
    """The installed command."""
    from earlywarning.cli.logs import configure_logs  # noqa: PLC0415  # --help need not load it

    configure_logs()
    try:
        app(exit_on_error=False, print_error=True)
    except CycloptsError:
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, RuntimeError, OperatorError) as error:
        if not type(error).__module__.startswith("earlywarning"):
            raise
        print(f"earlywarning: {error}", file=sys.stderr)
        sys.exit(1)
