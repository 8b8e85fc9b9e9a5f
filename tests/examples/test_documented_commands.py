"""Every command that README and the documents show is one that the program has, with the options that they show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from earlywarning.cli.app import app

PROJECT = Path(__file__).parents[2]
DOCUMENTS = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((PROJECT / "docs").glob("*.md")),
    *sorted((PROJECT / "deploy").glob("*.md")), *sorted((PROJECT / "examples").rglob("*.md")),
]  # fmt: skip


def shown(text: str) -> Iterator[str]:
    """The commands in a document: lines of code blocks, and what stands between backticks."""
    for line in re.findall(r"^(?:    |\t|\$ )? *(?:\.venv/bin/)?earlywarning ([^\n]*)$", text, re.MULTILINE):
        yield re.split(r"\s#|\s[>|]\s|`", line)[0]
    yield from re.findall(r"`earlywarning ([a-z][^`\n]*)`", text)


def unknown(words: str) -> list[str]:
    """What of a command the program does not know. Alternatives (`list|show`) are each looked at."""
    try:
        parts = shlex.split(words.replace("[", " ").replace("]", " ").replace("...", " "))
    except ValueError:
        return [f"cannot be read: {words}"]
    place, said = app, list[str]()
    while parts:
        names = parts[0].split("|")
        if not all(name in place for name in names) or parts[0].startswith("-"):
            break
        place, parts = place[names[0]], parts[1:]
    if place is app or (place.default_command is None and parts and not parts[0].startswith("-")):
        return [f"no command: {words}"]
    known = {name for argument in place.assemble_argument_collection() for name in argument.names}
    known |= {"--help", "--version"}
    for part in parts:
        option = part.split("=")[0]
        if option.startswith("-") and option != "-" and option not in known:
            said.append(f"no option {option}: {words}")
    return said


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(PROJECT)))
def test_the_commands_that_a_document_shows_are_there(document: Path) -> None:
    assert [problem for words in shown(document.read_text(encoding="utf-8")) for problem in unknown(words)] == []


def test_enough_is_looked_at_and_what_is_wrong_is_found() -> None:
    assert sum(1 for document in DOCUMENTS for _ in shown(document.read_text(encoding="utf-8"))) > 80
    assert unknown("alerts --format csv") == []
    assert unknown("settings draft list|show N") == []
    assert unknown("alarms") == ["no command: alarms"]
    assert unknown("settings drafts") == ["no command: settings drafts"]
    assert unknown("ingest a.csv --maping x") == ["no option --maping: ingest a.csv --maping x"]
