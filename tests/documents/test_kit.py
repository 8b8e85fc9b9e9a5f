"""The document kit says what is true of the service as it stands, in both languages, and leaves open what only a person can say."""

import io
import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pypdf
import pytest

from earlywarning.cli.documents import write_documents
from earlywarning.core.casework import Casework
from earlywarning.core.events import FIELDS
from earlywarning.core.ledger import COLUMNS
from earlywarning.documents import KINDS, make_documents
from earlywarning.documents.facts import RETENTION_KEYS, gather
from earlywarning.documents.inventory import WITHOUT_MONTHS, inventory
from earlywarning.documents.kit import texts
from earlywarning.documents.writing import markdown
from earlywarning.locale import LANGUAGES, Language
from earlywarning.plan.document import Block, Document
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.forgetting import months_of
from earlywarning.settings import Settings, load_settings, parse_settings
from earlywarning.settings_retention import Retention
from earlywarning.store import Store
from earlywarning.store.accounts import Accounts
from earlywarning.store.plans import Plans
from earlywarning.store.tables import metadata
from tests.core.town import BEGIN, CODE, NOW, history, surge
from tests.plan.plans import plan
from tests.runtimes.test_embedded import supply
from tests.web.conftest import write_town

MADE = datetime(2025, 2, 1, 8, tzinfo=UTC)
MORE = """
[retention]
dead_letters_months = 2
names_months = 30
[channels.mail]
kind = "email"
host = "127.0.0.1"
sender = "est@example.se"
[recipients.coordination]
role = "coordinator"
channel = "mail"
address = "trygghet@example.se"
"""


def test_every_stored_field_is_in_the_inventory_and_nothing_that_is_not() -> None:
    stored = {table.name: {column.name for column in table.columns} for table in metadata.sorted_tables}
    stored |= {
        "event": set(FIELDS), "day page": set(COLUMNS), "casework content": {f.name for f in msgspec.structs.fields(Casework)},
    }  # fmt: skip
    assert {g.code: {f.name for f in g.fields} for g in inventory()} == stored


def test_every_retention_is_of_the_settings_enforced_and_used() -> None:
    used = {f.keep for g in inventory() for f in g.fields} | {g.keep for g in inventory()}
    assert used - set(WITHOUT_MONTHS) == set(RETENTION_KEYS) == {f.name for f in msgspec.structs.fields(Retention)}
    plain = parse_settings(f'[municipality]\ncode = "{CODE}"\nname = "T"\n', file="x", folder=Path())
    enforced = {key.replace("-", "_") + "_months" for key in months_of(plain)}
    assert enforced == set(RETENTION_KEYS)


def test_names_and_words_of_people_are_personal_data_in_the_inventory() -> None:
    personal = {f"{g.code}.{f.name}" for g in inventory() for f in g.fields if f.personal != "no"}
    telling = re.compile(r"\b(actor|acknowledged_by|note|who|password_hash|session_hash)\b")
    for g in inventory():
        for f in g.fields:
            if telling.search(f.name):
                assert f"{g.code}.{f.name}" in personal
    assert {"audit.actor", "audit.note", "accounts.name", "sessions.name", "plans.actor", "outbox.body"} <= personal


def test_both_languages_have_the_same_documents_block_by_block() -> None:
    def shape(language: Language) -> object:
        told = texts(language)
        blocks = {kind: [(k, v if k == "table" else len(v) if isinstance(v, list) else 1) for b in told[kind]["blocks"]
                         for k, v in b.items()] for kind in KINDS}  # fmt: skip
        names = {kind: sorted(set(re.findall(r"\{(\w+)\}", str(told[kind]["blocks"])))) for kind in KINDS}
        return blocks, names, len(told["risks"]["rows"]), *(sorted(told[k]) for k in ("words", "columns", "captions"))

    assert shape("sv") == shape("en")


def test_measured_figures_stand_where_they_are_said_to() -> None:
    root = Path(__file__).parents[2]
    figures = tomllib.loads((root / "src/earlywarning/documents/measured.toml").read_text())["figures"]
    assert figures
    for figure in figures:
        assert figure["value"].removeprefix("0") in (root / figure["source"]).read_text(), figure["en"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("kit")
    write_town(folder)
    file = folder / "earlywarning.toml"
    file.write_text(file.read_text() + MORE)
    chosen = load_settings(file)
    service = Service.open(chosen)
    service.take([supply(history(5, days=430))], NOW, history=True)
    service.take([supply(surge(440))], NOW)
    Plans(service.store).add(CODE, plan(), "planner", BEGIN)
    Accounts(service.store, CODE).add("coordinator", "coordinator", [], BEGIN + timedelta(days=440), 48)
    service.forget(NOW)
    service.stop()
    return chosen


@pytest.fixture(params=LANGUAGES)
def made(request: pytest.FixtureRequest, settings: Settings) -> dict[str, Document]:
    with Store.open(settings.store_url) as store:
        facts = gather(settings, store, MADE.date())
    language: Language = request.param
    assert facts.years
    documents = make_documents(facts, language)
    return dict(zip(KINDS, documents.values(), strict=True))


def said(document: Document) -> str:
    def words(b: Block) -> str:
        return " ".join([b.text, *b.items, *b.header, *(cell for row in b.rows for cell in row)])

    return " ".join([document.title, *document.subtitle, *map(words, document.blocks)])


def test_they_say_what_the_settings_and_the_store_say(made: dict[str, Document], settings: Settings) -> None:
    for document in made.values():
        assert settings.version in said(document) or document is made["card"]
        assert "{" not in said(document)
    impact, record, evidence = said(made["impact"]), said(made["record"]), said(made["evidence"])
    for told in (impact, record):
        assert re.search(r"retention\.dead_letters_months 2 (månader|months)", told)
        assert re.search(r"retention\.events_months 28 (månader|months)", told)
    assert "coordination coordinator mail" in record
    assert "coordinator 1" in record
    assert re.search(r"accounts|Konton", record)
    for group in inventory():
        for field in group.fields:
            assert field.name in record
    assert "2023-01-02" in evidence
    assert plan().version in evidence
    assert re.search(r"2024 [1-9]\d* 0 0 0 0", evidence)


def test_what_only_a_person_can_say_is_left_open(made: dict[str, Document]) -> None:
    for kind in ("impact", "record", "register", "evidence"):
        gaps = [item for b in made[kind].blocks for item in b.items if item.startswith(("Att fylla i", "To be filled in"))]
        assert len(gaps) >= 3
        assert all("....." in gap for gap in gaps)
    assert "Testby" in made["impact"].title


@pytest.mark.parametrize("language", LANGUAGES)
def test_settings_that_weaken_a_rule_are_told_and_not_smoothed_over(settings: Settings, language: Language) -> None:
    text = settings.text.replace("min_years = 1\n", 'min_years = 1\norigins = ["reported", "discovered"]\n')
    weak = parse_settings(text + "[disclosure]\nleast_count = 0\n", file="x", folder=settings.folder)
    with Store.open(settings.store_url) as store:
        usual, other = (make_documents(gather(s, store, MADE.date()), language).values() for s in (settings, weak))
    note = {"sv": "OBS: ", "en": "NOTE: "}[language]
    for before, after in zip(usual, other, strict=True):
        assert note not in said(before)
        weakened = any(name in str(texts(language)[k]["blocks"]) for k in KINDS for name in ("{origin_rule}",)
                       if texts(language)[k]["file"] in file_of(before, language))  # fmt: skip
        assert (note in said(after)) == weakened
    assert note + {"sv": "små tal", "en": "small counts"}[language] in said(make_documents_of(weak, language, "impact"))


def file_of(document: Document, language: Language) -> list[str]:
    told = texts(language)
    return [told[k]["file"] for k in KINDS if told[k]["title"].split(":")[0] == document.title.split(":")[0]]


def make_documents_of(settings: Settings, language: Language, kind: str) -> Document:
    with Store.open(settings.store_url) as store:
        return make_documents(gather(settings, store, MADE.date()), language)[texts(language)[kind]["file"]]


def test_words_of_the_field_are_kept_to(made: dict[str, Document]) -> None:
    card = said(made["card"]).casefold()
    assert "never that there is more crime" in card or "aldrig att brotten är fler" in card


def test_the_command_writes_markdown_page_and_tagged_pdf(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_documents(settings.folder / "earlywarning.toml", tmp_path / "out", None, MADE)
    files = sorted(f.name for f in (tmp_path / "out").iterdir())
    assert len(files) == 5 * 3 * 2
    assert f"konsekvensbedomning-{CODE}-sv.md" in files
    assert f"impact-assessment-{CODE}-en.pdf" in files
    assert len(capsys.readouterr().out.splitlines()) == 10
    for file in (tmp_path / "out").glob("*.pdf"):
        reader = pypdf.PdfReader(io.BytesIO(file.read_bytes()))
        root = reader.trailer["/Root"]
        assert root["/MarkInfo"]["/Marked"]
        assert str(root["/Lang"]) == file.stem[-2:]
    page = (tmp_path / "out" / f"registerforteckning-{CODE}-sv.html").read_text()
    assert "<script" not in page
    assert "password_hash" in page
    text = (tmp_path / "out" / f"registerforteckning-{CODE}-sv.md").read_text()
    assert "| Personuppgift |" in text.replace("| Vad | Fält | Betyder | ", "| ")


def test_what_stands_in_the_store_cannot_become_markup() -> None:
    document = Document("<b>*t*</b>", [], "sv", [Block("table", header=["a|b"], rows=[["[x](y)"]])])
    text = markdown(document)
    assert "\\<b\\>\\*t\\*" in text
    assert "a\\|b" in text
    assert "\\[x\\](y)" in text
