"""The desk's counter for one municipality: the same front as the service in one process; events go on to the brokers."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from earlywarning.core.admission import admit
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.casework import Answer, Casework
from earlywarning.core.categories import CategoryTree
from earlywarning.core.events import POSITION_FIELDS, AnyEvent, Rejection
from earlywarning.core.settings_draft import Decision
from earlywarning.monitoring import Metrics
from earlywarning.runtimes.assembly import area_register, category_tree, engine_settings
from earlywarning.runtimes.kafka.connection import KafkaError
from earlywarning.runtimes.kafka.deciding import publish_rewritten
from earlywarning.runtimes.links import Links, links_of
from earlywarning.runtimes.replaying import Replayed, events_again, refused_again, settled_by
from earlywarning.runtimes.taking import dead_letter
from earlywarning.settings import Settings
from earlywarning.sources.supply import ItemResult, Supply, refused_item
from earlywarning.store import Store, StoredDeadLetter, StoreError

if TYPE_CHECKING:
    from earlywarning.runtimes.kafka.desk import Desk

_sending = ThreadPoolExecutor(1, thread_name_prefix="sending")  # one batch after the other, in their order


class Counter:
    """One municipality at the desk. Events are checked here, and counted by a worker."""

    def __init__(self, desk: "Desk", settings: Settings) -> None:
        """Raises RegisterError, SettingsError."""
        self._desk = desk
        self.settings: Settings = settings
        self.register: AreaRegister = area_register(settings)
        self.tree: CategoryTree = category_tree(settings)
        self.calendar: LocalCalendar = LocalCalendar(settings.municipality.timezone)
        self.store: Store = desk.store
        self.metrics: Metrics = desk.metrics

    @property
    def links(self) -> Links:
        """Signed links to answer by."""
        return links_of(self.settings, self.store)

    @property
    def alive(self) -> bool:
        """Whether the desk reads and sends."""
        return self._desk.alive

    @property
    def trouble(self) -> str:
        """Why no events can be taken; empty when they can."""
        return "" if self._desk.alive else "the desk does not read, or has not caught up with the topics yet"

    def show_state(self) -> None:
        """Bring the gauges up to date, before someone reads the metrics."""
        self._desk.show_state()

    def submit(self, supply: Supply) -> "Future[list[ItemResult]]":
        """Check a batch and send it on; the result comes when it is on the brokers."""
        return _sending.submit(self._send, supply)

    def answer(self, said: Answer) -> Casework:
        """Take an answer of the group. Raises AnswerError, StoreError."""
        return self._desk.answer(said, self.register.municipality)

    def put_in_force(self, rewrite: Callable[[Settings], str], decision: Decision) -> int:
        """Publish rewritten settings, for desk and workers. Raises DraftError, SettingsError, StoreError."""
        return publish_rewritten(self._desk, self.register.municipality, rewrite, decision)

    def replay(self, letters: Sequence[StoredDeadLetter]) -> dict[int, Replayed]:
        """Check what was kept of dead letters, and send on what a worker will let in. Raises StoreError, as `submit` does."""
        return _sending.submit(self._replay, letters).result()

    def _replay(self, letters: Sequence[StoredDeadLetter]) -> dict[int, Replayed]:
        again = events_again(letters, self.settings)
        events, rejections = self._checked(Supply(again.decoded, "replay"), datetime.now(UTC))
        self._produce(events.values())
        told = again.told | {again.numbers[r.index]: refused_again(r) for r in rejections}
        told |= {again.numbers[place]: Replayed("queued") for place in events}
        # Sent first: what is not settled after a crash is sent twice, and taken once.
        self.store.commit(None, settled=settled_by(told))
        return told

    def _produce(self, events: Collection[AnyEvent]) -> None:
        try:
            if events:
                producer = self._desk.producer()
                producer.send(events)
                producer.flush()
        except KafkaError as error:
            raise StoreError(str(error)) from error  # as when the store does not answer: nothing was taken, send it again

    def _send(self, supply: Supply) -> list[ItemResult]:
        now = datetime.now(UTC)
        events, rejections = self._checked(supply, now)
        letters = [dead_letter(supply, r, now, self.register.municipality) for r in rejections]
        if letters:
            self.store.commit(None, letters)
            for letter in letters:
                self.metrics.rejected.labels(letter.rule).inc()
        self._produce(events.values())
        first = supply.first
        results = [ItemResult(i + first, "queued", e.event_id, e.source) for i, e in events.items()]
        results += [refused_item(r, first) for r in rejections]
        return sorted(results, key=lambda item: item.index)

    def _checked(self, supply: Supply, now: datetime) -> tuple[dict[int, AnyEvent], list[Rejection]]:
        """Events that a worker will let in, by their places; coordinates end here, as in one process."""
        decoded = supply.decoded
        rejections = list(decoded.rejections)
        if not decoded.events:
            return {}, rejections
        rules = engine_settings(self.settings, now, self.register, self.tree).admission
        batch, refused = admit(decoded.events, register=self.register, tree=self.tree, rules=rules, now=now)
        rejections += [msgspec.structs.replace(r, index=decoded.positions[r.index]) for r in refused]
        events = {
            decoded.positions[at]: _placed(decoded.events[at], self.register.codes[area])
            for at, area in zip(batch.position.tolist(), batch.area.tolist(), strict=True)
        }
        return events, rejections


def _placed(event: AnyEvent, area: str) -> AnyEvent:
    """The event with its area in place of coordinates."""
    if event.area is not None:
        return event
    return msgspec.structs.replace(event, area=area, **dict.fromkeys(POSITION_FIELDS))
