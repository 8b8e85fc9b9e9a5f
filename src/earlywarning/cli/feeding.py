"""Commands that take events in: files, the demonstration, dead letters again."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from pathlib import Path

import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from earlywarning.cli.place import OperatorError, load
from earlywarning.cli.service_call import ask, no_entry, token_headers
from earlywarning.locale import Language, label
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.replaying import Chosen, replay_chosen
from earlywarning.settings import Settings
from earlywarning.sources.files import EventFile, FileProblem
from earlywarning.sources.supply import Supply
from earlywarning.store import StoreLocked

OUTCOMES = ("accepted", "repeated", "replaced", "rejected")
_SENT_AT_ONCE = 2000


class Tally:
    """What became of the events of some files."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.skipped = 0


def ingest_files(
    files: Sequence[Path],
    settings_file: Path | None,
    mapping: str,
    to: str,
    token_file: Path | None = None,
    *,
    as_history: bool = False,
) -> None:
    """Take in files one after the other; a damaged file does not keep the others out."""
    if not files:
        raise OperatorError("name at least one file: earlywarning ingest FILE...")
    if to and as_history:
        raise OperatorError("--as-history works on the store itself: stop the service, and ingest without --to")
    settings = load(settings_file)
    if mapping and mapping not in settings.mappings:
        known = ", ".join(settings.mappings) or "none"
        raise OperatorError(f"there is no mapping {mapping!r} in the settings; there are: {known}")
    tally = Tally()
    problems: list[str] = []
    console = Console(stderr=True)
    if to:
        with (
            httpx.Client(base_url=to, timeout=120, headers=token_headers(token_file)) as client,
            shown_progress(console) as progress,
        ):
            for path in files:
                through_file(path, settings, mapping, progress, tally, problems, lambda s: _send(client, s, tally, token_file))
    else:
        try:
            service = Service.open(settings, holder="earlywarning ingest")
        except StoreLocked as error:
            stated = f"http://{settings.service.host}:{settings.service.port}"
            address = next((word for word in error.holder.split() if word.startswith("http")), stated)
            raise OperatorError(f"{error}: add --to {address}") from error
        try:
            with shown_progress(console) as progress:
                for path in files:
                    take = partial(_take, service, tally, history=as_history)
                    through_file(path, settings, mapping, progress, tally, problems, take)
        finally:
            service.stop()
    summary(Console(), tally, settings.municipality.language)
    if problems:
        raise OperatorError("; ".join(problems))


def replay_demonstration(service: Service, console: Console) -> None:
    """Replay the bundled data of the demonstration as if its events arrived one after the other."""
    name = "toronto"
    with resources.as_file(resources.files("earlywarning.data").joinpath(name, "incidents.csv.gz")) as path:
        tally = Tally()
        problems: list[str] = []
        with shown_progress(console) as progress:
            through_file(path, service.settings, name, progress, tally, problems, partial(_take, service, tally))
    if problems:
        raise OperatorError("; ".join(problems))
    summary(console, tally, service.settings.municipality.language)


def replay_letters(
    settings_file: Path | None, rule: str | None, source: str | None, to: str = "", token_file: Path | None = None
) -> None:
    """Feed waiting dead letters again: in the store, or by a running service."""
    if to:
        body = {"rule": rule, "source": source, "all": rule is None and source is None}
        status, said = ask(to, "/v1/dead-letters/replay", token_file, content=msgspec.json.encode(body), patience=600)
        if status != 200:
            raise OperatorError(str(said.get("problem", f"{to} answers {status}")))
        print_replayed(said["outcomes"], said["problems"])
        if said["left"]:
            print(f"{said['left']} were not tried yet; give the command again")
        return
    service = Service.open(load(settings_file), holder="earlywarning dead-letters replay")
    try:
        told = replay_chosen(service.store, service.register.municipality, Chosen((), rule, source), service.replay)
    finally:
        service.stop()
    print_replayed(told.outcomes, told.problems)


def print_replayed(outcomes: Mapping[str, int], problems: Mapping[str, int]) -> None:
    """What became of letters that were tried again."""
    waiting = outcomes.get("rejected", 0)
    print(f"{sum(outcomes.values()) - waiting} taken in again, {waiting} go on waiting")
    for words, n in sorted(problems.items(), key=lambda p: -p[1])[:5]:
        print(f"  {n}: {words}")


def summary(console: Console, tally: Tally, language: Language) -> None:
    """Counts by outcome, and the rules by which events were rejected."""
    table = Table(show_header=False, box=None)
    for outcome in (*OUTCOMES, *(o for o in tally.outcomes if o not in OUTCOMES)):
        table.add_row(label(outcome, language), f"{tally.outcomes[outcome]:,}")
    if tally.skipped:
        table.add_row(label("skipped", language), f"{tally.skipped:,}")
    for rule, n in tally.rules.most_common():
        table.add_row(f"  {label('rejected', language)}: {rule}", f"{n:,}")
    console.print(table)


def shown_progress(console: Console) -> Progress:
    """A bar for each file."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[events]:,} events"), console=console,
    )  # fmt: skip


def through_file(
    path: Path, settings: Settings, mapping: str, progress: Progress, tally: Tally, problems: list[str], take: object
) -> None:
    """Go through one file; a damaged one becomes a problem, and does not keep the others out."""
    try:
        file = EventFile(
            path,
            mapping=settings.mappings.get(mapping),
            mapping_name=mapping,
            default_timezone=settings.municipality.timezone,
        )
        task = progress.add_task(path.name, total=file.size, events=0)
        _through(file, progress, task, take)
        tally.skipped += file.skipped
    except FileProblem as error:
        problems.append(str(error))


def _through(file: EventFile, progress: Progress, task: TaskID, take: object) -> None:
    events = 0
    for supply in file:
        take(supply)  # type: ignore[operator]  # a callable of one supply
        events += len(supply.decoded.events) + len(supply.decoded.rejections)
        progress.update(task, completed=file.position, events=events)
    progress.update(task, completed=file.size)


def _take(service: Service, tally: Tally, supply: Supply, *, history: bool = False) -> None:
    (taken,) = service.take([supply], datetime.now(UTC), history=history)
    tally.outcomes.update(taken.outcomes)
    # Events that could not even be decoded have no outcome of their own: rejections count them all.
    tally.outcomes["rejected"] += len(taken.rejections) - taken.outcomes.count("rejected")
    tally.rules.update(r.rule for r in taken.rejections)


def _send(client: httpx.Client, supply: Supply, tally: Tally, token_file: Path | None) -> None:
    """Send one batch to a running service; what could not be decoded here is counted as rejected."""
    events = supply.decoded.events
    tally.outcomes["rejected"] += len(supply.decoded.rejections)
    tally.rules.update(r.rule for r in supply.decoded.rejections)
    for begin in range(0, len(events), _SENT_AT_ONCE):
        body = b"\n".join(msgspec.json.encode(e) for e in events[begin : begin + _SENT_AT_ONCE])
        try:
            response = client.post("/v1/events", content=body, headers={"content-type": "application/x-ndjson"})
            if response.status_code in (401, 403):
                raise no_entry(str(client.base_url), response.status_code, response.json(), token_file)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise OperatorError(
                f"the service did not take the events ({error}); feed the file again: repeats count once"
            ) from error
        for item in response.json()["results"]:
            tally.outcomes[item["outcome"]] += 1
            if "rule" in item:
                tally.rules[item["rule"]] += 1
