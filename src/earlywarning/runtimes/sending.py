"""What a municipality sends, put together from its settings: dispatch with links, in every runtime."""

from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.categories import CategoryTree
from earlywarning.core.routing import Recipient
from earlywarning.runtimes.dispatching import Dispatch
from earlywarning.runtimes.links import links_of
from earlywarning.settings import Settings
from earlywarning.store import Store


def dispatch_of(store: Store, settings: Settings, register: AreaRegister, tree: CategoryTree) -> Dispatch:
    """The dispatch of a municipality. Raises SettingsError for recipients of unknown areas or categories; StoreError."""
    links = links_of(settings, store)

    def offered(alert: Alert, recipient: Recipient) -> dict[str, str]:
        return links.make(alert.alert_id, recipient.name)

    return Dispatch(store, settings, register, tree, links=offered)
