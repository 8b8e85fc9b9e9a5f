"""A follow-up document as an HTML page that needs nothing beside it, and as a tagged PDF (PDF/UA-1)."""

import base64
import tempfile
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import typst

from earlywarning.plan.document import Block, Document

_TEMPLATES = ("earlywarning.plan", "templates")


def html_page(document: Document) -> str:
    """The page. All texts are escaped; pictures stand in it."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["data_uri"] = _data_uri
    return environment.from_string(_template("follow_up.html")).render(document=msgspec.to_builtins(document))


def pdf_bytes(document: Document, at: datetime) -> bytes:
    """The PDF, tagged so that it can be read aloud. at: the moment that it says it was made."""
    data: dict[str, Any] = msgspec.to_builtins(document)
    with tempfile.TemporaryDirectory(prefix="earlywarning-") as name:
        folder = Path(name)
        for i, (block, source) in enumerate(zip(data["blocks"], document.blocks, strict=True)):
            if source.kind == "picture":
                block["file"] = f"picture-{i}.svg"
                (folder / block["file"]).write_text(block.pop("svg"), encoding="utf-8")
            elif source.kind == "table":
                block["widths"] = _widths(source)
        (folder / "document.json").write_bytes(msgspec.json.encode(data))
        (folder / "follow_up.typ").write_text(_template("follow_up.typ"), encoding="utf-8")
        made: bytes = typst.compile(
            folder / "follow_up.typ", root=folder, format="pdf", pdf_standards=["ua-1"], timestamp=int(at.timestamp())
        )
        return made


def _widths(block: Block) -> list[float]:
    """Relative widths of columns: by what they hold, between a date's and four times that, and room for the longest name."""

    def width(column: Sequence[str]) -> float:
        # A name with underscores is not broken: it would stand in the next column.
        name = max((len(word) for cell in column for word in cell.split() if "_" in word), default=0)
        return float(min(max(max(len(c) for c in column) ** 0.75, 6.0, 0.95 * name), 24.0))

    return [width(column) for column in zip(block.header, *block.rows, strict=True)]


def _template(name: str) -> str:
    return resources.files(_TEMPLATES[0]).joinpath(_TEMPLATES[1], name).read_text(encoding="utf-8")


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
