"""The five documents: texts with facts put in, tables, and open fields for what only a person can say."""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from earlywarning.documents.facts import Facts
from earlywarning.documents.tables import table
from earlywarning.locale import Language
from earlywarning.plan.document import Block, Document

KINDS = ("impact", "record", "card", "register", "evidence")


@cache
def texts(language: Language) -> dict[str, Any]:
    """All texts of a language."""
    return tomllib.loads(resources.files("earlywarning.documents").joinpath(f"{language}.toml").read_text(encoding="utf-8"))


def make_documents(facts: Facts, language: Language) -> dict[str, Document]:
    """The documents by the name of their file, without its ending."""
    told = texts(language)
    values = _values(facts, told["words"])
    out = {}
    for kind in KINDS:
        document = told[kind]
        made = told["words"]["made"].format(day=facts.made_on.isoformat(), version=facts.settings.version)
        blocks: list[Block] = []
        for block in document["blocks"]:
            blocks += _blocks(block, facts, told, language, values)
        out[document["file"]] = Document(document["title"].format(**values), [made], language, blocks)
    return out


def _blocks(
    block: Mapping[str, Any], facts: Facts, told: Mapping[str, Any], language: Language, values: Mapping[str, object]
) -> list[Block]:
    ((kind, content),) = block.items()
    match kind:
        case "h":
            return [Block("heading", text=content, level=1)]
        case "p":
            return [Block("text", text=content.format(**values))]
        case "items":
            return [Block("items", items=[item.format(**values) for item in content])]
        case "open":
            words = told["words"]
            return [Block("items", items=[f"{words['to_fill_in'].format(what=what)} {words['line']}" for what in content])]
        case "table":
            columns, rows = table(content, facts, told, language, values)
            header = [told["columns"][key] for key in columns]
            caption = told["captions"].get(content, header[0])
            return [Block("heading", text=caption, level=2), Block("table", text=caption, header=header, rows=rows)]
    raise ValueError(f"{language}.toml: a block {kind!r} is not known")


def _values(facts: Facts, words: Mapping[str, str]) -> dict[str, object]:
    s, d = facts.settings, facts.settings.detection
    alerts, assessed = sum(y.alerts for y in facts.years), sum(y.assessed for y in facts.years)
    confirmed = sum(y.confirmed for y in facts.years)

    least, origins = s.disclosure.least_count, ", ".join(d.origins)
    rule = words["origin_rule_on" if d.origins == ["reported"] else "origin_rule_off"].format(origins=origins)
    small = words["small_on" if least > 1 else "small_off"].format(most=least - 1, least=least)

    def day(when: date | None) -> str:
        return when.isoformat() if when else words["none"]

    return {
        **facts.retention,
        "name": s.municipality.name, "version": s.version, "mode": s.access.mode, "session_hours": s.access.session_hours,
        "kinds": ", ".join(d.kinds), "origin_rule": rule, "small_cells": small, "years": d.years, "min_years": d.min_years,
        "windows": ", ".join(map(str, sorted(d.windows))), "budget": f"{s.alerts.false_alarms_per_week:g}",
        "mixture": s.budget.mixture, "first_event": day(facts.first_event), "last_event": day(facts.last_event),
        "events": facts.events,
        "alerts": alerts, "assessed": assessed, "confirmed": confirmed,
        "precision": f"{confirmed / assessed:.0%}" if assessed else words["none"],
        "precision_level": f"{s.answers.precision_level:.0%}",
        "measures": sum(y.with_measure for y in facts.years), "followed": sum(y.followed_up for y in facts.years),
        "last_picture": facts.last_picture or words["none"], "year": facts.made_on.year - 1,
    }  # fmt: skip
