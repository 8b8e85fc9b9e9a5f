"""The yearly follow-up says what a steering group must know, in both languages, as page and as tagged PDF; from a real store."""

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter
from typing import get_args

import numpy as np
import pypdf
import pytest

from earlywarning.cli import planning
from earlywarning.cli.place import OperatorError
from earlywarning.core.calendar import LocalCalendar, day_number
from earlywarning.core.casework import OUTCOMES, Casework, Cause, Measure, Touched
from earlywarning.core.changes import Changes
from earlywarning.core.data_notes import DataNote
from earlywarning.core.effect import Verdict as EffectVerdict
from earlywarning.core.effect import Why as EffectWhy
from earlywarning.core.engine import Engine
from earlywarning.core.plan_check import PlanError
from earlywarning.core.standing import Verdict, Why
from earlywarning.locale import LANGUAGES, Language, Names
from earlywarning.plan.document import follow_up_document
from earlywarning.plan.paper import html_page, pdf_bytes
from earlywarning.plan.record import FollowUp
from earlywarning.plan.words import Teller, change_words, interval_words, texts
from earlywarning.runtimes.plan_counts import PlanCounts, follow_up_of
from earlywarning.settings import Settings, parse_settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.plans import Plans
from tests.cli.told import command
from tests.conftest import left_out
from tests.core import town
from tests.plan.plans import ROWS, TOML, plan
from tests.web.conftest import SETTINGS, write_town

NOW = datetime(2025, 2, 1, 8, tzinfo=UTC)
REGISTER, TREE = town.register(), town.tree()
NAMES = Names.from_registers(REGISTER, TREE)


def _note() -> DataNote:
    return DataNote(
        note_id="burst-1", municipality=town.CODE, noted_on=date(2024, 3, 5), what="burst", done="counted once", kind="incident",
        source="wardens", area="A0", category="C0", first_day=date(2024, 3, 4), last_day=date(2024, 3, 4), events=12, expected=0.4,
        share=0.9, p_value=1e-9,
    )  # fmt: skip


def _case() -> Casework:
    measure = Measure(
        number=1, answers=1, what="Bättre belysning i tunneln", owner="Belysningsenheten", begins=date(2024, 2, 1),
        due=date(2024, 5, 1), goal="Inget klotter i tunneln i maj", outcome="done", followed_up_on=date(2024, 5, 20),
    )  # fmt: skip
    return Casework(
        alert_id="0999-20240115-1", municipality=town.CODE, opened_at=NOW.replace(year=2024),
        causes=(Cause(number=1, cause="lighting"),),
        measures=(measure,), touched=(Touched("KLOTTER", "Klotter", "Graffiti", "Fastighetsenheten"),),
    )  # fmt: skip


@pytest.fixture(scope="module")
def settings() -> Settings:
    return parse_settings(SETTINGS, file="earlywarning.toml", folder=Path())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Two years of a town in which graffiti in A0 falls by four fifths from 10 January 2024."""
    rng = np.random.default_rng(5)
    engine: Engine = town.engine()
    events = []
    rates = {"A0": 1.2, "A1": 0.6, "A4": 0.6, "A5": 0.6}
    begin = day_number(town.BEGIN.date())
    starts = day_number(date(2024, 1, 10))
    for day in range(begin, day_number(date(2025, 1, 20))):
        for area, rate in rates.items():
            for _ in range(rng.poisson(rate * (0.2 if area == "A0" and day >= starts else 1.0))):
                when = datetime.fromtimestamp(day * 86_400 + 11 * 3_600, tz=UTC)
                events.append(town.event(f"g{len(events)}", when, area=area, category="C0", origin="reported"))
    pages: dict[int, bytes] = {}
    for first in range(0, len(events), 500):
        engine.ingest(events[first : first + 500], town.NOW, history=True)
        pages |= engine.changes().pages
    changes = Changes(
        municipality=town.CODE, pages=pages, page_events=dict.fromkeys(pages, 1), alerts=[], history=[],
        clock_day=day_number(date(2025, 1, 20)), clock_hour=0, notes=[_note()],
    )  # fmt: skip
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('store') / 's.db'}", writer=True) as opened:
        opened.commit(changes, also=[Cases(opened).keep([_case()])])
        Plans(opened).add(town.CODE, plan(), "Samordningen", NOW)
        yield opened


@pytest.fixture(scope="module")
def figures(store: Store, settings: Settings) -> FollowUp:
    found = follow_up_of(settings, store, REGISTER, TREE, LocalCalendar(), 2024, NOW.date())
    assert found is not None
    return found


def _text(pdf: bytes) -> str:
    words = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)
    return re.sub(r"\s+", " ", words.replace("\u00ad\n", "").replace("\u2010\n", "").replace("\xa0", " "))


def test_counts_of_the_plan_are_those_of_the_store(store: Store) -> None:
    counts = PlanCounts(store, REGISTER, TREE, LocalCalendar(), 3)
    twice = counts.daily(("D0", "A0"), ("G0", "C0"), "incident", ("reported",))
    once = counts.daily(("D0",), ("C0",), "incident", ("reported",))
    assert twice.counts.sum() == once.counts.sum() > 400
    assert counts.daily(("D0",), ("C0",), "report", ("reported",)).counts.size == 0
    assert once.first_day + len(once.counts) - 1 == counts.last_day == day_number(date(2025, 1, 19))
    assert counts.complete(("C0",), "incident") == counts.last_day  # everything was recorded within the hour
    assert counts.new_sources("incident", 0, 30_000)[0].source == "wardens"


def test_the_figures_find_what_was_put_in(figures: FollowUp) -> None:
    graffiti, sales = figures.priorities
    assert (graffiti.standing.verdict, graffiti.standing.finished) == ("reached", True)
    assert sales.standing.why == "no-history"
    action = figures.actions[0]
    assert action.effect.verdict == "fewer"
    assert action.effect.low < 0.2 < action.effect.high
    assert action.around is not None
    assert action.around.verdict == "cannot-tell"
    assert action.difference is not None
    assert action.difference.total < -50
    assert action.notes == (_note(),)
    assert [t.measure.owner for t in figures.measures] == ["Belysningsenheten"]


WANTED: dict[Language, tuple[str, ...]] = {
    "sv": (
        "Uppföljning av åtgärdsplanen 2024", "Testby", "Klotter i öster", "30 % färre händelser per dag 2024 än", "Målet är nått",
        "Färre fasader klottras ned.", "Fastighetsenheten", "Bostadsbolaget", "Sanerar inom ett dygn", "klart", "Halvårsavstämning",
        "Bättre belysning i tunneln", "Belysningsenheten", "Inget klotter i tunneln i maj", "Effekt: Snabb sanering",
        "Färre händelser än väntat efter starten", "att åtgärden är orsaken är inte bevisat", "standardfel", "e-test",
        "Om något har flyttat dit kan uppgifterna inte avgöra", "Annat ändrades samtidigt: wardens lämnade", "Medborgarlöften",
        "Vi går trygghetsvandring fyra gånger.", "Inte hållet: 2 av 4 gjorda", "Två vandringar i april",
        "uppgifter från hela basperioden finns inte", "Vad uppgifterna inte kan säga", "Wheeler och Ratcliffe 2018",
    ),
    "en": (
        "Follow-up of the action plan 2024", "Graffiti in the east", "30% fewer incidents a day in 2024 than in",
        "The goal is reached",
        "Cleans within a day", "done", "Effect: Quick removal", "Fewer incidents than expected after the start", "is not proved",
        "the data cannot tell", "Something else changed at the same time: wardens",
        "Promises to residents", "Not kept: 2 of 4 done",
        "What the data cannot tell", "Wheeler and Ratcliffe 2018",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_and_pdf_say_all_of_it(figures: FollowUp, language: Language) -> None:
    document = follow_up_document(figures, Teller(NAMES, language, 1))
    page, pdf = html_page(document), pdf_bytes(document, NOW)
    said = re.sub(r"<[^>]+>", " ", page).replace("&#39;", "'").replace("\xa0", " ")
    on_paper = _text(pdf)
    for words in WANTED[language]:
        assert words in said, words
        assert words.replace(" ", "") in on_paper.replace(" ", "").replace("-", "") or words.replace(" ", "") in on_paper.replace(
            " ", ""
        ), words
    assert f'lang="{language}"' in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    for forbidden in ("brottslighet", "mer brott", "more crime", "risk"):
        assert forbidden not in said.casefold()


def test_the_pdf_is_tagged_with_titles_and_words_for_its_pictures(figures: FollowUp) -> None:
    reader = pypdf.PdfReader(io.BytesIO(pdf_bytes(follow_up_document(figures, Teller(NAMES, "sv")), NOW)))
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"].value is True
    assert root["/Lang"].startswith("sv")
    assert reader.metadata is not None
    assert reader.metadata.title == "Uppföljning av åtgärdsplanen 2024"
    assert b"pdfuaid" in (reader.xmp_metadata.stream.get_data() if reader.xmp_metadata else b"")
    kinds, alternatives = set(), []
    waiting = [root["/StructTreeRoot"]]
    while waiting:
        node = waiting.pop().get_object()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            kinds.add(node.get("/S"))
            alternatives += [node["/Alt"]] if "/Alt" in node else []
            waiting += [node["/K"]] if "/K" in node and not isinstance(node["/K"], int) else []
    assert {"/H1", "/Table", "/TH", "/L", "/Figure"} <= kinds
    assert any("Stapeldiagram" in words for words in alternatives)


def test_counts_below_the_limit_are_not_shown(figures: FollowUp) -> None:
    document = follow_up_document(figures, Teller(NAMES, "en", 1_000))
    said = html_page(document)
    assert "fewer than 1,000" in said
    assert "too small to be shown" in said
    assert not any(b.kind == "picture" for b in document.blocks)
    assert "Simple difference" not in said


def test_texts_of_both_languages_belong_together_and_none_is_missing() -> None:
    def places(language: Language) -> dict[tuple[str, str], set[str]]:
        return {
            (section, key): {f for _, f, _, _ in Formatter().parse(text) if f is not None}
            for section, part in texts(language).items()
            for key, text in part.items()
        }

    assert places("sv") == places("en")
    for language in LANGUAGES:
        t = texts(language)
        assert set(get_args(Verdict)) <= set(t["verdict"])
        known = set(t["standing"])
        assert all(any(k == w or k.endswith(f"_{w}") for k in known) for w in get_args(Why) if w)
        assert all(any(k == w or k.endswith(w) for k in t["effect"]) for w in (*get_args(EffectVerdict), *get_args(EffectWhy)) if w)
        assert {*OUTCOMES, "planned"} <= set(t["status"])


@pytest.mark.parametrize(
    ("ratio", "english", "swedish"),
    [
        (0.85, "15% fewer", "15 % färre"), (1.07, "7% more", "7 % fler"), (1.0, "as many", "lika många"),
        (2.4, "2.4 times as many", "2,4 gånger så många"), (40.0, "more than ten times as many", "mer än tio gånger så många"),
        (0.0, "100% fewer", "100 % färre"), (float("inf"), "more than ten times as many", "mer än tio gånger så många"),
    ],
)  # fmt: skip
def test_a_ratio_is_told_as_a_change(ratio: float, english: str, swedish: str) -> None:
    assert change_words(ratio, "en") == english
    assert change_words(ratio, "sv").replace("\xa0", " ") == swedish


def test_an_interval_is_told_by_both_its_ends() -> None:
    assert interval_words(0.7, 1.05, "en") == "between 30% fewer and 5% more"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings and registers of the town, in which commands are run."""
    write_town(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_import_show_compare_export_and_follow_up(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said() -> str:
        return capsys.readouterr().out

    (home / "plan.csv").write_text(ROWS, encoding="utf-8")
    (home / "plan.toml").write_text(TOML.replace("-0.3", "-0.2"), encoding="utf-8")
    planning.import_plan(None, Path("plan.csv"), "Samordningen", "", check_only=True)
    assert "fine" in said()
    assert "in force as version 1" in command(home, "plan", "import", "plan.csv", "--actor", "Samordningen", "--note", "ny period")
    planning.import_plan(None, Path("plan.csv"), "Samordningen", "", check_only=False)
    assert "nothing has changed" in said()
    planning.import_plan(None, Path("plan.toml"), "Styrgruppen", "", check_only=False)
    assert "in force as version 2" in said()
    planning.list_versions(None)
    assert "by Samordningen" in said()
    planning.diff_plans(None, None, None)
    assert said() == "priorities[KLOTTER].goal.change: -0.3 -> -0.2\n"
    planning.show_plan(None, None, "en")
    assert "cannot be" in said()
    planning.export_plan(None, None, Path("again.toml"))
    planning.import_plan(None, Path("again.toml"), "Styrgruppen", "", check_only=False)
    assert "nothing has changed" in said()
    planning.write_follow_up(None, 2024, Path("out"), None, 5, NOW)
    made = sorted(p.name for p in (home / "out").iterdir())
    assert made == [f"follow-up-2024-{language}.{kind}" for language in ("en", "sv") for kind in ("html", "pdf")]


@pytest.mark.parametrize(
    ("file", "actor", "note", "said"),
    [
        ("none.toml", "a", "", "none.toml cannot be read"),
        ("bad.toml", "a", "", "bad.toml: not TOML"),
        ("good.toml", "anna@testby.se", "", "--actor: it holds personal data"),
        ("good.toml", " ", "", "--actor: it must have 1 to 80 characters"),
        ("good.toml", "a", "ring 070-174 06 05", "--note: it holds personal data"),
    ],
)
def test_a_plan_that_cannot_be_imported_is_refused_in_words(home: Path, file: str, actor: str, note: str, said: str) -> None:
    (home / "good.toml").write_text(TOML, encoding="utf-8")
    (home / "bad.toml").write_text("title = ", encoding="utf-8")
    with pytest.raises((PlanError, OperatorError), match=said):
        planning.import_plan(None, Path(file), actor, note, check_only=False)


def test_what_is_not_there_is_said_in_words(home: Path) -> None:
    Store.open(f"sqlite:///{home / 'store.db'}", writer=True).close()
    with pytest.raises(OperatorError, match="there is no action plan yet; import one"):
        planning.show_plan(None, None, None)
    with pytest.raises(OperatorError, match="0 versions of the action plan"):
        planning.diff_plans(None, None, None)
    assert "no action plan covers the year 2031" in command(home, "plan", "follow-up", "--year", "2031", "--out", "out", code=1)
    (home / "plan.toml").write_text(TOML, encoding="utf-8")
    planning.import_plan(None, Path("plan.toml"), "a", "", check_only=False)
    with pytest.raises(OperatorError, match="there is no version 7 of the action plan; there are 1"):
        planning.export_plan(None, 7, Path("-"))


def test_a_pdf_reader_of_its_own_finds_the_tags(figures: FollowUp, tmp_path: Path) -> None:
    if shutil.which("pdfinfo") is None:
        left_out("pdfinfo is not installed; on Debian: apt-get install poppler-utils")
    file = tmp_path / "f.pdf"
    file.write_bytes(pdf_bytes(follow_up_document(figures, Teller(NAMES, "sv")), NOW))
    said = subprocess.run(["pdfinfo", str(file)], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Tagged:\s+yes", said)
