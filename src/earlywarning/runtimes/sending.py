"""What a municipality sends, put together from its settings: who hears what, with links, in whose words; in every runtime."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from earlywarning.channels import Addressee, Contents
from earlywarning.core.action_plan import in_words, priorities_of
from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.casework import Touched
from earlywarning.core.categories import CategoryTree
from earlywarning.core.outgoing import Outgoing
from earlywarning.core.routing import Recipient
from earlywarning.locale import Names
from earlywarning.runtimes.dispatching import Dispatch
from earlywarning.runtimes.links import links_of
from earlywarning.runtimes.recipients import addressee
from earlywarning.settings import Settings
from earlywarning.store import Store
from earlywarning.store.plans import Plans


class Sending(NamedTuple):
    """One municipality's way out: its dispatch, and what its messages need to be put into words."""

    settings: Settings
    names: Names
    dispatch: Dispatch

    def addressee(self, recipient: str) -> Addressee | None:
        """Who a recipient or reporter is, None for one that the settings do not have."""
        found = addressee(self.settings, recipient, self.dispatch.kin, self.names)
        if found is None:
            return None
        address, why = found
        return Addressee((address,) if address else (), why)


def sending_of(store: Store, settings: Settings, register: AreaRegister, tree: CategoryTree) -> Sending:
    """Raises SettingsError for recipients of unknown areas or categories; StoreError; OSError for a link key that is not there."""
    links, plans = links_of(settings, store), Plans(store)

    def offered(alert: Alert, recipient: Recipient) -> dict[str, str]:
        return links.make(alert.alert_id, recipient.name)

    def touched(alert: Alert) -> tuple[Touched, ...]:
        plan = plans.current(alert.municipality)
        codes = () if plan is None else priorities_of(alert, plan, register, tree)
        found = [p for code in codes if plan is not None and (p := plan.priority(code)) is not None]
        return tuple(Touched(p.code, in_words(p, "name", "sv"), in_words(p, "name", "en"), p.responsible) for p in found)

    def pictures(now: datetime) -> tuple[list[Outgoing], dict[str, str]]:
        if not any(r.briefing for r in settings.recipients.values()):
            return [], {}
        from earlywarning.runtimes.weekly_picture import due_pictures  # noqa: PLC0415  # draws: only where it is wanted

        return due_pictures(store, settings, now)

    dispatch = Dispatch(store, settings, register, tree, links=offered, touched=touched, pictures=pictures)
    return Sending(settings, Names.from_registers(register, tree), dispatch)


def contents_of(sending: Callable[[str], Sending | None]) -> Contents:
    """Messages of municipalities in words. sending: by a municipality's code, None while its settings are not known."""

    def names(code: str) -> Names | None:
        found = sending(code)
        return None if found is None else found.names

    def who(code: str, recipient: str) -> Addressee | None:
        found = sending(code)
        return None if found is None else found.addressee(recipient)

    return Contents(names, who)
