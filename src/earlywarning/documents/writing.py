"""A document as Markdown."""

from collections.abc import Iterator

from earlywarning.plan.document import Document

_ESCAPED = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>#|"})


def markdown(document: Document) -> str:
    """CommonMark with tables. Texts are escaped: what stands in the store cannot become markup."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield f"# {document.title.translate(_ESCAPED)}"
    for line in document.subtitle:
        yield f"\n{line.translate(_ESCAPED)}"
    for block in document.blocks:
        yield ""
        if block.kind == "heading":
            yield f"{'#' * (block.level + 1)} {block.text.translate(_ESCAPED)}"
        elif block.kind == "items":
            yield from (f"- {item.translate(_ESCAPED)}" for item in block.items)
        elif block.kind == "table":
            yield _row(block.header)
            yield _row(["---"] * len(block.header), escaped=False)
            yield from map(_row, block.rows)
        else:
            yield block.text.translate(_ESCAPED)


def _row(cells: list[str], *, escaped: bool = True) -> str:
    return f"| {' | '.join(c.translate(_ESCAPED) if escaped else c for c in cells)} |"
