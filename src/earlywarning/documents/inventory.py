"""What is kept, field by field, as data (fields.toml): purpose, personal data, how long, who sees it."""

import tomllib
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

Personal = Literal["no", "account", "text"]
WITHOUT_MONTHS = ("never", "place", "session")  # kept for other than months


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a group. keep: a key of [retention], or one of WITHOUT_MONTHS."""

    name: str
    personal: Personal
    keep: str
    sv: str
    en: str


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Fields that lie together: a table of the store, the event as it comes, the day page, JSON in a column."""

    code: str
    name_sv: str
    name_en: str
    why_sv: str
    why_en: str
    seen_sv: str
    seen_en: str
    keep: str
    fields: tuple[Field, ...]

    @property
    def personal(self) -> bool:
        """Whether any field is personal data."""
        return any(field.personal != "no" for field in self.fields)


@cache
def inventory() -> tuple[Group, ...]:
    """All groups, in the order of the file."""
    text = resources.files("earlywarning.documents").joinpath("fields.toml").read_text(encoding="utf-8")
    return tuple(_group(code, told) for code, told in tomllib.loads(text).items())


def _group(code: str, told: dict[str, object]) -> Group:
    rows: dict[str, list[str]] = msgspec.convert(told.pop("fields"), dict[str, list[str]])
    fields = [
        {"name": name, "personal": row[0], "sv": row[1], "en": row[2], "keep": row[3] if len(row) > 3 else told["keep"]}
        for name, row in rows.items()
    ]
    return msgspec.convert({"code": code, **told, "fields": fields}, Group)
