"""Page, paper and mail: readable by people and programs, complete in themselves, in both languages."""

import io
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest
from matplotlib.image import imread
from pypdf import PdfReader

from earlywarning.briefing import briefing_messages, render_html, render_mail, render_pdf
from earlywarning.briefing.drawing import LOOKS, map_png, map_svg
from earlywarning.briefing.messages import Addressee
from earlywarning.core.outgoing import BriefingContent
from earlywarning.locale import LANGUAGES, Language
from earlywarning.store import Store
from earlywarning.store.outbox import Outbox
from tests.briefing.conftest import Make


class Seen(HTMLParser):
    """Which tags a page has, with their attributes, and that they nest."""

    VOID = frozenset({"meta", "br", "img", "link", "rect", "circle", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for t, attrs in self.tags if t == tag]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_complete_in_itself_and_semantic(make: Make, language: Language) -> None:
    page = render_html(make(language=language))
    seen = Seen(page)
    assert seen.all("html") == [{"lang": language}]
    assert not seen.all("script")
    assert not seen.all("link")
    assert all("src" not in a for _, a in seen.tags)
    assert all("href" not in a or not str(a["href"]).startswith("http") for _, a in seen.tags)
    assert len(seen.all("h1")) == 1
    assert len(seen.all("caption")) == len(seen.all("table"))
    assert all(a.get("scope") in ("col", "row") for a in seen.all("th"))
    ids = [a["id"] for _, a in seen.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for wanted in ("prefers-color-scheme:dark", "@media print", "max-width:40rem"):
        assert wanted in page


def test_text_of_people_is_escaped(make: Make) -> None:
    from earlywarning.briefing import PlanRow  # noqa: PLC0415  # beside its only use

    row = PlanRow(priority="<script>alert(1)</script>", responsible="A & B", goal="<b>", standing="#heading [x]", late=False)
    picture = make(plan_rows=[row])
    assert "<script>" not in render_html(picture)
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(render_pdf(picture))).pages)
    assert "#heading [x]" in text  # typst's own marks mean nothing in what people wrote


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pdf_is_tagged_and_says_its_language(make: Make, language: Language) -> None:
    picture = make(language=language)
    reader = PdfReader(io.BytesIO(render_pdf(picture)))
    catalogue = reader.trailer["/Root"]
    assert catalogue["/MarkInfo"]["/Marked"]
    assert str(catalogue["/Lang"]).startswith(language)
    assert "/StructTreeRoot" in catalogue
    assert b"pdfuaid" in catalogue["/Metadata"].get_object().get_data()
    assert reader.metadata is not None
    assert reader.metadata.title == picture.title
    width, height = (float(v) for v in reader.pages[0].mediabox[2:])
    assert (round(width), round(height)) == (595, 842)  # A4
    assert f"1 / {len(reader.pages)}" in reader.pages[0].extract_text()
    assert _alternatives(catalogue["/StructTreeRoot"]) >= {picture.maps[0].alt}


def _alternatives(node: object, depth: int = 0) -> set[str]:
    found: set[str] = set()
    if hasattr(node, "get_object"):
        node = node.get_object()
    if isinstance(node, list):
        for one in node:
            found |= _alternatives(one, depth + 1)
    elif isinstance(node, dict) and depth < 60:
        if "/Alt" in node:
            found.add(str(node["/Alt"]))
        if "/K" in node:
            found |= _alternatives(node["/K"], depth + 1)
    return found


def test_the_same_picture_gives_the_same_files(make: Make) -> None:
    picture = make()
    assert render_pdf(picture) == render_pdf(picture)
    assert render_html(picture) == render_html(picture)


def test_the_map_is_valid_xml_and_a_picture(make: Make) -> None:
    one = make().maps[0]
    root = ET.fromstring(map_svg(one, "whole", "sv", name="m", alone=True))  # noqa: S314  # drawn here
    numbers = {t.text for t in root.iter("{http://www.w3.org/2000/svg}text")}
    assert numbers <= {str(a.number) for a in one.areas}
    assert numbers
    png = imread(io.BytesIO(map_png(one)))
    assert png.shape[1] > 500
    assert len(np.unique(png.reshape(-1, png.shape[2]), axis=0)) > 10


def test_shades_differ_in_grey_by_their_pattern() -> None:
    marks = [(look.pattern, look.step) for look in LOOKS.values()]
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_mail_is_short_and_styled_in_its_tags(make: Make, language: Language) -> None:
    picture = make(language=language, links={a.alert_id: f"https://example.se/{a.alert_id}" for a in make().alerts})
    mail = render_mail(picture)
    seen = Seen(mail.html)
    assert len(mail.html) < 100_000  # longer mails are cut by some
    assert not seen.all("svg")
    assert not seen.all("style")
    assert all("class" not in attrs for _, attrs in seen.tags)
    assert "\n" not in mail.subject
    assert all(line in mail.text for line in picture.headlines)
    assert all(item.link in mail.text for item in picture.alerts)
    assert "data:image/png" in render_mail(picture, pictures=True).html


def test_messages_go_once_to_each_recipient_whenever_they_are_made(make: Make, tmp_path_factory: pytest.TempPathFactory) -> None:
    to = [Addressee("mail", "group"), Addressee("mail", "housing")]
    now = datetime(2024, 5, 12, 18, tzinfo=UTC)
    first = briefing_messages(make(), to, now)
    again = briefing_messages(make(), to, datetime(2024, 5, 13, 6, tzinfo=UTC))
    assert [m.key for m in first] == [m.key for m in again]
    assert len({m.key for m in first}) == 2
    assert briefing_messages(make("2024-W18"), to, now)[0].key not in {m.key for m in first}
    assert briefing_messages(make(), [], now) == []
    content = msgspec.json.decode(first[0].body, type=BriefingContent)
    assert content.week == "2024-W19"
    assert content.pdf.startswith(b"%PDF")
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('outbox') / 'store.db'}", writer=True) as store:
        for messages in (first, again):
            store.commit(None, also=[Outbox(store).put(messages)])
        assert len(Outbox(store).messages()) == 2
