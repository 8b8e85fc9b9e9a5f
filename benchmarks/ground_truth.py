"""Real tendencies, artefacts and controls: what the service says of each row of GROUND_TRUTH.csv.

    python benchmarks/ground_truth.py [--only police|toronto|zurich] [--csv result.csv]

The real sets lie in ../shared/data and are replayed in place, each with settings of its own, through the service's own
back-test: every day is judged with what had been recorded by then. Nothing is tuned here; one budget (1 false alert a week)
for all. A surge is found by an alert that is opened from its first day to a week after its last, about days that
meet it, its area and its category. A control is quiet when no more alerts about counts are opened on its days than the
budget gives by chance (95 % of a Poisson number). Of an artefact the table says whether the service recognised it, and what
alerts about counts were opened on its days and about its place all the same.
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from ground_truth_sets import DATA, Place, Replay, artefacts_of, police, police_poll, replay, slug, toronto, zurich
from scipy.stats import poisson

from earlywarning.core.calendar import date_of
from earlywarning.core.detectors.artefacts import Artefact
from earlywarning.lab.backtest import Opened
from earlywarning.lab.judged_days import LabError

GRACE = timedelta(days=7)
BEFORE, AFTER = timedelta(days=60), timedelta(days=14)  # judged around a case
COUNTS = ("surge", "cluster", "shift", "drift")
COLUMNS = ("set", "what", "place", "when", "put as", "verdict", "what the service says")
POLICE, TORONTO, ZURICH = "se_polisen_events_2022_2026", "toronto_mci_2014_2021", "zurich_zueriwieneu_2016_2025"


class Case(NamedTuple):
    """A row of the table. first, last: its days; kind: as the table puts it. area: code, or * for any."""

    dataset: str
    place: str
    area: str
    filter: str
    first: date
    last: date
    kind: str


class Answer(NamedTuple):
    """verdict: found, not found, quiet, not quiet, recognised, not recognised, not judged; and the reasons."""

    verdict: str
    says: str


def read_cases() -> list[Case]:
    """The rows of GROUND_TRUTH.csv."""
    out = []
    with (DATA / "GROUND_TRUTH.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            dated = row["start"][:2] == "20" and row["start"][4:5] == "-"
            first = date.fromisoformat(row["start"][:10]) if dated else date.min
            last = date.fromisoformat(row["end"]) if row["end"] else first
            name = row["dataset"].rpartition("/")[2]
            out.append(Case(name, row["area_field"], row["area"], row["filter"], first, last, row["kind"]))
    return out


# ---- what an alert says about a case ----------------------------------------------------------------------------------


def meeting(found: Replay, case: Case, areas: frozenset[str], categories: frozenset[str]) -> list[Opened]:
    """Alerts about the case's days, areas and categories: opened from its first day to GRACE after its last, or open before and
    still standing on its days (then as they were in the end)."""
    out = []
    for opened in found.alerts:
        before = opened.first.opened_on < case.first
        a = opened.last if before else opened.first
        if a.opened_on > case.last + GRACE or a.first_day > case.last or a.last_day < case.first:
            continue
        if found.under("area", *a.areas) & areas and found.under("category", *a.categories) & categories:
            out.append(opened)
    return out


def describe(opened: Opened, found: Replay, since: date) -> str:
    """One alert in a line."""
    before = opened.first.opened_on < since
    a = opened.last if before else opened.first
    place = "+".join(found.name(code) for code in a.areas)
    about = "+".join(a.categories)
    ended = f", {opened.last.state}" if opened.last.state == "withdrawn" else ""
    days = (a.opened_on - since).days
    when = "the same day" if days == 0 else f"{days} d later" if days > 0 else f"open since {a.opened_on}"
    return f"{a.tendency} {about} in {place}, {a.observed:g} against {a.expected:.2g} in {a.window} d, {when}{ended}"


def first_of(alerts: Iterable[Opened], found: Replay, since: date) -> str:
    """The alerts in the order in which they were opened, at most three."""
    ordered = sorted(alerts, key=lambda o: (o.first.opened_at, o.first.alert_id))
    more = f" (and {len(ordered) - 3} more)" if len(ordered) > 3 else ""
    return "; ".join(describe(o, found, since) for o in ordered[:3]) + more


def judge(case: Case, found: Replay | str, categories: Sequence[str], area: str = "*") -> Answer:
    """Whether a surge was found, or a control stayed quiet."""
    if isinstance(found, str):
        return Answer("not judged", found)
    alerts = meeting(found, case, found.under("area", area), found.under("category", *categories))
    if case.kind.startswith("surge"):
        fresh = [o for o in alerts if o.first.opened_on >= case.first]
        says = first_of(fresh or alerts, found, case.first) or "no alert"
        return Answer("found" if fresh else "under an alert that was open" if alerts else "not found", says)
    counts = raised(case, alerts)
    weeks = ((case.last - case.first).days + 1) / 7
    verdict = "quiet" if len(counts) <= poisson.ppf(0.95, weeks) else "not quiet"
    said = f"{len(counts)} alerts about counts in {weeks:.1f} weeks"
    return Answer(verdict, "; ".join(filter(None, [said, first_of(alerts, found, case.first)])))


def raised(case: Case, alerts: Iterable[Opened]) -> list[Opened]:
    """Those about counts that were opened on the case's days."""
    return [o for o in alerts if o.first.tendency in COUNTS and case.first <= o.first.opened_on <= case.last]


def said_of(artefact: Artefact, found: Replay) -> str:
    """One artefact in a line."""
    about = "" if artefact.category < 0 else f" of {found.tree.codes[artefact.category]}"
    where = "" if artefact.area < 0 else f" in {found.name(found.register.codes[artefact.area])}"
    days = "/".join(dict.fromkeys(date_of(d).isoformat() for d in (artefact.first_day, artefact.last_day)))
    more = " (1 January)" if artefact.new_year else f" (hour {artefact.hour:02})" if artefact.hour >= 0 else ""
    return (
        f"{artefact.what}{more}: {artefact.events}{about}{where} {days}, usual {artefact.expected:.3g}, "
        f"share {artefact.share:.0%}, p {artefact.p_value:.0e}: {artefact.done}"
    )


def judge_artefact(case: Case, found: Replay, alerts: Replay | str, what: str, area: str = "*", category: str = "*") -> Answer:
    """Whether an artefact was recognised, and what alerts meet it all the same."""
    near = (case.first - GRACE, case.last + GRACE)
    meant = [a for a in found.artefacts if a.what == what and near[0] <= date_of(a.first_day) <= near[1]]
    notes = [said_of(a, found) for a in meant]
    said = "alerts not judged: " + alerts if isinstance(alerts, str) else ""
    verdict = "recognised" if notes else "not recognised"
    if isinstance(alerts, Replay):
        met = meeting(alerts, case, alerts.under("area", area), alerts.under("category", category))
        opened = raised(case, met)
        said = f"alerts: {first_of(opened, alerts, case.first) or 'none'}"
        verdict += ", alerts meet it" if opened else ", nothing raised"
    return Answer(verdict, "; ".join([*notes[:3], said]))


# ---- the sets ---------------------------------------------------------------------------------------------------------


def tried(place: Place, first: date, last: date) -> Replay | str:
    """A replay, or why it says nothing."""
    try:
        return replay(place, first, last)
    except LabError as error:
        return str(error)


def of_police(cases: Sequence[Case]) -> dict[Case, Answer]:
    """The police's public feed: municipalities and counties, each as a place of its own."""
    out: dict[Case, Answer] = {}
    uppsala = tried(police("0380"), date(2023, 8, 1), date(2026, 1, 15))
    by_filter = {"Explosion": ("EXPLOSION",), "Trafik": ("TRAFFIC",), "Mord|": ("SEVERE",)}
    for case in cases:
        categories = next((c for words, c in by_filter.items() if words in case.filter), ("*",))
        if case.kind.startswith(("data gap", "schema drift")):
            # Where the area is the feed's own location, a place that it no longer gives is the county.
            seen = artefacts_of(police("03", by_location=True))
            near = tried(police("03", by_location=True), case.first - BEFORE, min(case.last, case.first + GRACE) + AFTER)
            out[case] = judge_artefact(case, seen, near, "gap-filled" if "gap" in case.kind else "place-coding")
        elif "payload" in case.kind:
            out[case] = Answer(*police_poll(case.kind))
        elif case.place == "kommun_code":
            out[case] = judge(case, uppsala, categories)
        elif case.area == "Malmö":
            out[case] = judge(case, tried(police("1280"), date(2023, 8, 1), date(2023, 9, 20)), ("*",))
        else:
            out[case] = judge(case, tried(police(case.area), case.first - BEFORE, case.last + AFTER), categories)
    return out


def of_toronto(cases: Sequence[Case]) -> dict[Case, Answer]:
    """Recorded crime in Toronto: a drop that must raise nothing, and default dates."""
    found = tried(toronto(), date(2019, 6, 1), date(2020, 6, 15))
    out: dict[Case, Answer] = {}
    for case in cases:
        if case.kind != "artefact":
            out[case] = judge(case, found, ("ASSAULT",), "3520")
            continue
        seen = artefacts_of(toronto())
        notes = [said_of(a, seen) for a in seen.artefacts if a.what.endswith("heap")]
        said = "nothing could be judged"
        verdict = "recognised" if notes else "not recognised"
        if isinstance(found, Replay):
            alerts = [o.first for o in found.alerts if o.first.tendency in COUNTS]
            there = [a for a in alerts if a.first_day.day == 1 and a.window == 1]
            said = f"{len(alerts)} alerts about counts in a year, {len(there)} of them about a first of a month alone"
            verdict += ", alerts meet it" if there else ""
        out[case] = Answer(verdict, "; ".join([*notes, said]))
    return out


def of_zurich(cases: Sequence[Case]) -> dict[Case, Answer]:
    """Citizens' reports in Zurich: weather, and one reporter's round."""
    out: dict[Case, Answer] = {}
    seen = artefacts_of(zurich())
    for case in cases:
        found = tried(zurich(), case.first - BEFORE, case.last + AFTER)
        if case.area == "city":
            out[case] = judge(case, found, (slug(case.filter),))
        else:
            out[case] = judge_artefact(case, seen, found, "burst", slug(case.area), slug(case.filter))
    return out


# ---- the table --------------------------------------------------------------------------------------------------------


def main() -> None:
    """Replay what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", choices=("police", "toronto", "zurich"))
    parser.add_argument("--csv", type=Path)
    chosen = parser.parse_args()
    if not (DATA / "GROUND_TRUTH.csv").is_file():
        sys.exit("ground truth skipped: ../shared/data/GROUND_TRUTH.csv is not there")
    cases = read_cases()
    rows: list[tuple[str, ...]] = []
    for name, dataset, work in (
        ("police", POLICE, of_police),
        ("toronto", TORONTO, of_toronto),
        ("zurich", ZURICH, of_zurich),
    ):
        if chosen.only not in (None, name):
            continue
        if not (DATA / f"{dataset}.csv.gz").is_file():
            print(f"{name}: skipped, ../shared/data/{dataset}.csv.gz is not there", file=sys.stderr)
            continue
        begun = time.perf_counter()
        for case, answer in work([c for c in cases if c.dataset == dataset]).items():
            when = "" if case.first == date.min else "/".join(dict.fromkeys((case.first.isoformat(), case.last.isoformat())))
            rows.append((name, case.filter, case.area, when, case.kind, *answer))
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    print("| " + " | ".join(COLUMNS) + " |\n| " + " | ".join("---" for _ in COLUMNS) + " |")
    for row in rows:
        print("| " + " | ".join(text.replace("|", "/") for text in row) + " |")
    if chosen.csv:
        with chosen.csv.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
