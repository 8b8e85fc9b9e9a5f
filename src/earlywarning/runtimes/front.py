"""What the HTTP interface and the pages need of a runtime, whichever it is."""

from concurrent.futures import Future
from typing import Protocol

from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.casework import Answer, Casework
from earlywarning.core.categories import CategoryTree
from earlywarning.monitoring import Metrics
from earlywarning.runtimes.links import Links
from earlywarning.settings import Settings
from earlywarning.sources.supply import ItemResult, Supply
from earlywarning.store import Store


class Front(Protocol):
    """One municipality as it is served: its registers, its store, and where events go in."""

    store: Store
    metrics: Metrics

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def register(self) -> AreaRegister:
        """The areas."""

    @property
    def tree(self) -> CategoryTree:
        """The categories."""

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
        """What keeps events from being kept, in words; empty while nothing is known to."""

    def submit(self, supply: Supply) -> Future[list[ItemResult]]:
        """Hand a batch in; the result comes when it is safe."""

    def answer(self, said: Answer) -> Casework:
        """Take an answer of the group to an alert. Raises AnswerError, StoreError."""

    def show_state(self) -> None:
        """Bring the gauges up to date, before someone reads the metrics."""
