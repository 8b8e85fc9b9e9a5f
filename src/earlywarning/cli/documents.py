"""`earlywarning documents`: the document kit as Markdown, page and tagged PDF."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from earlywarning.cli.place import OperatorError, load
from earlywarning.documents import make_documents
from earlywarning.documents.facts import gather
from earlywarning.documents.writing import markdown
from earlywarning.locale import Language
from earlywarning.plan.paper import html_page, pdf_bytes
from earlywarning.store import Store


def write_documents(settings_file: Path | None, out: Path, wanted: Language | None, now: datetime) -> None:
    """Make all of them, in one language or in both, and say which files were written."""
    settings = load(settings_file)
    today = now.astimezone(ZoneInfo(settings.municipality.timezone)).date()
    with Store.open(settings.store_url) as store:
        facts = gather(settings, store, today)
    languages: tuple[Language, ...] = (wanted,) if wanted else ("sv", "en")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for language in languages:
            for name, document in make_documents(facts, language).items():
                stem = out / f"{name}-{settings.municipality.code}-{language}"
                stem.with_suffix(".md").write_text(markdown(document), encoding="utf-8")
                stem.with_suffix(".html").write_text(html_page(document), encoding="utf-8")
                stem.with_suffix(".pdf").write_bytes(pdf_bytes(document, now))
                print(f"{stem}.md, .html, .pdf")
    except OSError as error:
        raise OperatorError(f"{error.filename or out} cannot be written ({error.strerror}); choose another folder") from error
