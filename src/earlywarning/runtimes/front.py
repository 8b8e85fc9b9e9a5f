"""What the HTTP interface and the pages need of a runtime, whichever it is."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.casework import Answer, Casework
from earlywarning.core.categories import CategoryTree
from earlywarning.core.settings_draft import Decision
from earlywarning.monitoring import Metrics
from earlywarning.runtimes.links import Links
from earlywarning.runtimes.replaying import Replayed
from earlywarning.settings import Settings
from earlywarning.sources.supply import ItemResult, Supply
from earlywarning.store import Store, StoredDeadLetter


class Place(Protocol):
    """Of a municipality, what its settings need; a command without a running service is one as well."""

    store: Store

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def register(self) -> AreaRegister:
        """The areas."""

    @property
    def tree(self) -> CategoryTree:
        """The categories."""

    def put_in_force(self, rewrite: Callable[[Settings], str], decision: Decision) -> int:
        """Put settings in force so that they outlive a restart; returns their number.

        rewrite: makes the new text of those in force, and says no by raising; nobody else comes in between. Raises DraftError,
        SettingsError, StoreError.
        """


class Front(Place, Protocol):
    """One municipality as it is served: its registers, its store, and where events go in."""

    metrics: Metrics

    @property
    def calendar(self) -> LocalCalendar:
        """The local calendar."""

    @property
    def links(self) -> Links:
        """Signed links to answer by."""

    @property
    def alive(self) -> bool:
        """Whether events can be taken."""

    @property
    def trouble(self) -> str:
        """Why no events can be taken; empty when they can."""

    def submit(self, supply: Supply) -> Future[list[ItemResult]]:
        """Hand a batch in; the result comes when it is safe."""

    def answer(self, said: Answer) -> Casework:
        """Take an answer of the group to an alert. Raises AnswerError, StoreError."""

    def replay(self, letters: Sequence[StoredDeadLetter]) -> Mapping[int, Replayed]:
        """Feed dead letters again; what became of each, by its number. Raises StoreError: then nothing has changed."""

    def show_state(self) -> None:
        """Bring the gauges up to date, before someone reads the metrics."""
