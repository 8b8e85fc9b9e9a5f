"""Making, previewing and ending mutes, for command line and HTTP interface alike."""

from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.categories import CategoryTree
from earlywarning.core.kinship import Kinship
from earlywarning.core.mutes import Mute, checked, preview
from earlywarning.core.outgoing import key_of
from earlywarning.core.rhythms import local_day
from earlywarning.locale import Language, Names, headline
from earlywarning.locale.routes import mute_sentence
from earlywarning.store import Store
from earlywarning.store.mutes import Mutes


class MuteWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says to make a mute; see core.mutes.Mute."""

    areas: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    first_day: date
    last_day: date
    reason: str
    note: str = ""
    who: str


class Muted(NamedTuple):
    """A mute with what it hits: alerts that are open, and those of the same days a year ago. It holds back what opens from now
    on; those that are open were sent already."""

    mute: Mute
    open: list[Alert]
    last_year: list[Alert]


def mute(
    store: Store, register: AreaRegister, tree: CategoryTree, words: MuteWords, now: datetime, timezone: str, *, keep: bool
) -> Muted:
    """Check a mute, see what it hits, and keep it unless only the preview is wanted. Raises MuteError, StoreError."""
    kin, own = Kinship.from_registers(register, tree), register.municipality
    said = msgspec.to_builtins(words)
    made = Mute(
        mute_id=f"m-{key_of(own, msgspec.json.encode(said).decode(), now.isoformat())[:10]}",
        municipality=own, made_at=now, **msgspec.structs.asdict(words),
    )  # fmt: skip
    made = checked(made, kin, local_day(now, timezone))
    begin = made.first_day.replace(day=1).replace(year=made.first_day.year - 2)
    alerts = store.alerts(municipality=own, since=begin)
    result = Muted(made, *preview(made, alerts, kin))
    if keep:
        Mutes(store).add(made)
    return result


def shown(result: Muted, names: Names, language: Language) -> dict[str, Any]:
    """A mute and what it hits as a record."""

    def told(alerts: list[Alert]) -> list[dict[str, str]]:
        return [
            {"alert_id": a.alert_id, "opened_on": a.opened_on.isoformat(), "headline": headline(a, names, language)} for a in alerts
        ]

    return {**shown_mute(result.mute, names, language), "open": told(result.open), "last_year": told(result.last_year)}


def shown_mute(one: Mute, names: Names, language: Language) -> dict[str, Any]:
    """A mute as a record, with what it says in words."""
    return {**msgspec.to_builtins(one), "sentence": mute_sentence(one, names, language)}
