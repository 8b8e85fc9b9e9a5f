"""The desk: what the workers say, kept in the SQL store; the HTTP interface reads it there, as in one process.

It reads every partition by itself, without a consumer group: how far it has read stands in the store, written in the same
transaction as what it read. So nothing is lost and nothing kept twice, whenever it dies. What a worker sends again after its own
crash carries the number that it had, and is passed over.
"""

import queue
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError as ClientError

from earlywarning.channels import Delivery
from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.casework import Answer, AnswerError, Casework, Verdict
from earlywarning.core.changes import Changes, DeadLetter
from earlywarning.core.data_notes import DataNote
from earlywarning.monitoring import Metrics
from earlywarning.monitoring_answers import AnswerMetrics
from earlywarning.runtimes.answering import Answering
from earlywarning.runtimes.dispatching import DispatchLoop
from earlywarning.runtimes.forgetting import Forgetting, daily
from earlywarning.runtimes.kafka.connection import KafkaError, client_options
from earlywarning.runtimes.kafka.counter import Counter
from earlywarning.runtimes.kafka.feedback import UNREADABLE, VerdictMessage, feedback
from earlywarning.runtimes.kafka.messages import AlertMessage, ClockMessage, LetterMessage, PageMessage, decision_of
from earlywarning.runtimes.kafka.producing import Producer
from earlywarning.runtimes.kafka.published import PublishedSettings
from earlywarning.runtimes.kafka.topics import ALERTS, DEAD_LETTERS, FEEDBACK, SETTINGS, STATISTICS, topic_name, topic_problems
from earlywarning.runtimes.learned import answered
from earlywarning.runtimes.sending import Sending, contents_of, sending_of
from earlywarning.settings import ClusterSettings, Retention
from earlywarning.store import Store, StoreError
from earlywarning.store.methods import method_to_note
from earlywarning.store.settings_versions import SettingsVersions

log = structlog.get_logger(__name__)
READ = (SETTINGS, ALERTS, STATISTICS, DEAD_LETTERS, FEEDBACK)
MOST_AT_ONCE = 500  # messages in one transaction
AGAIN = 2.0  # seconds before a store or broker that does not answer is tried again

_alert = msgspec.json.Decoder(AlertMessage)
_letter = msgspec.json.Decoder(LetterMessage)
_page = msgspec.msgpack.Decoder(PageMessage)
_clock = msgspec.msgpack.Decoder(ClockMessage)
_note = msgspec.json.Decoder(DataNote)


class Gathered:
    """What a few messages of one municipality say, to be kept in one transaction."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self.pages: dict[int, PageMessage] = {}
        self.alerts: dict[str, Alert] = {}
        self.history: list[AlertChange] = []
        self.notes: dict[str, DataNote] = {}
        self.letters: list[DeadLetter] = []
        self.clock: ClockMessage | None = None
        self.numbers = dict(numbers)  # by topic: of the last message that was kept

    def take(self, what: str, key: str, value: bytes) -> None:
        """Take one message. Raises msgspec.DecodeError for one that is none of ours."""
        if what == ALERTS:
            told = _alert.decode(value)
            if self._new(what, told.number):
                self.alerts[told.alert.alert_id] = told.alert
                self.history += told.changes
        elif what == DEAD_LETTERS:
            refused = _letter.decode(value)
            if not refused.number or self._new(what, refused.number):
                self.letters.append(refused.letter)
        elif "/note/" in key:
            note = _note.decode(value)
            self.notes[note.note_id] = note
        elif key.endswith("/clock"):
            self.clock = _clock.decode(value)
        else:
            page = _page.decode(value)
            self.pages[page.day] = page

    def _new(self, what: str, number: int) -> bool:
        if number <= self.numbers.get(what, 0):
            return False
        self.numbers[what] = number
        return True

    def changes(self, municipality: str) -> Changes:
        """As a runtime in one process would have them."""
        return Changes(
            municipality=municipality,
            pages={day: page.page for day, page in self.pages.items()},
            page_events={day: page.events for day, page in self.pages.items()},
            alerts=list(self.alerts.values()),
            history=self.history,
            clock_day=self.clock.clock_day if self.clock else 0,
            clock_hour=self.clock.clock_hour if self.clock else 0,
            notes=list(self.notes.values()),
        )


class Desk:
    """Reads the topics into the store; `counters` serves each municipality whose settings are published."""

    def __init__(self, cluster: ClusterSettings, store: Store, metrics: Metrics) -> None:
        self.cluster, self.store, self.metrics = cluster, store, metrics
        self.published = PublishedSettings(metrics)
        self.counters: dict[str, Counter] = {}
        self.sending: dict[str, Sending] = {}
        self.deciding = threading.Lock()  # one puts settings in force at a time
        self.answering = Answering(store)
        metrics.registry.register(AnswerMetrics(partial(answered, store)))
        self._dispatching = DispatchLoop(
            lambda: [s.dispatch for s in list(self.sending.values())], self.answering.one_at_a_time, beside=self.forget
        )
        # The desk's own channels: municipalities name them, and their secrets stand where the desk runs.
        self._delivery = Delivery(
            store,
            cluster.channels,
            contents_of(self.sending.get),
            metrics,
            kafka=partial(client_options, cluster),
        )
        self.forgetting = Forgetting(store, metrics)
        self._verdicts: queue.SimpleQueue[VerdictMessage] = queue.SimpleQueue()
        self._what = {topic_name(cluster.kafka, what): what for what in READ}
        self._producer: Producer | None = None
        self._teller: Producer | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self.caught_up = threading.Event()
        self._numbers: dict[str, dict[str, int]] = {}

    @classmethod
    def open(cls, cluster: ClusterSettings, holder: str = "", metrics: Metrics | None = None) -> "Desk":
        """Open the store for writing. Raises StoreLocked, StoreError, KafkaError."""
        if problems := topic_problems(cluster):
            raise KafkaError("; ".join(problems))
        return cls(cluster, Store.open(cluster.store_url, writer=True, holder=holder), metrics or Metrics())

    @property
    def alive(self) -> bool:
        """Whether it reads, and has read what was there when it began."""
        return self._thread.is_alive() and self.caught_up.is_set()

    def start(self) -> None:
        """Read from where the store says, in a thread of its own."""
        self._thread.start()
        self._dispatching.start()
        self._delivery.start()

    def stop(self) -> None:
        """Let go of store and brokers."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)
        self._dispatching.stop()
        self._delivery.stop()
        for producer in (self._producer, self._teller):
            if producer is not None:
                producer.close()
        self.store.close()

    def producer(self) -> Producer:
        """The connection on which events that came by HTTP go on. Raises KafkaError."""
        if self._producer is None:
            self._producer = Producer(self.cluster)
        return self._producer

    # ---- reading --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            consumer = None
            try:
                consumer = KafkaConsumer(
                    **client_options(self.cluster), enable_auto_commit=False, auto_offset_reset="earliest", max_poll_records=2_000
                )
                self._read(consumer)
            except (ClientError, StoreError, KafkaError) as error:
                log.error("the desk reads again from where it was", problem=f"{type(error).__name__}: {error}")
                self._stop.wait(AGAIN)
            finally:
                if consumer is not None:
                    consumer.close()

    def _read(self, consumer: Any) -> None:
        # A verdict that was kept and not sent when the desk died goes out now; one heard twice changes nothing.
        for case in self.answering.cases.explained():
            self._heed(case.municipality, case.verdicts)
        tps = [TopicPartition(name, n) for name in self._what for n in sorted(consumer.partitions_for_topic(name) or ())]
        consumer.assign(tps)
        ends = consumer.end_offsets(tps)
        for tp in tps:
            kept = self.store.source_state(_place(tp)) if self._what[tp.topic] != SETTINGS else None
            consumer.seek(tp, int(kept or 0))
        # Who is told of an alert stands in the settings: they are read before anything else.
        rest = [tp for tp in tps if self._what[tp.topic] != SETTINGS]
        consumer.pause(*rest)
        while not self._stop.is_set():
            if rest and all(consumer.position(tp) >= ends[tp] for tp in tps if tp not in rest):
                consumer.resume(*rest)
                rest = []
            if not self.caught_up.is_set() and all(consumer.position(tp) >= ends[tp] for tp in tps):
                self.caught_up.set()
            self._tell()
            for tp, messages in consumer.poll(timeout_ms=200).items():
                for begin in range(0, len(messages), MOST_AT_ONCE):
                    self._keep(tp, messages[begin : begin + MOST_AT_ONCE])

    def _keep(self, tp: Any, messages: Sequence[Any]) -> None:
        what = self._what[tp.topic]
        if what == SETTINGS:
            self._put_in_force(tp, messages)
            return
        if what == FEEDBACK:
            letters = [letter for m in messages if (letter := self._take_answer(tp, m)) is not None]
            self.store.commit(None, letters, {_place(tp): str(messages[-1].offset + 1)})
            return
        gathered: dict[str, Gathered] = {}
        for message in messages:
            key = (message.key or b"").decode(errors="replace")
            if not message.value:
                continue  # a worker has forgotten a day: so does the desk, by its own retention
            try:
                own = self._municipality(what, key, message.value)
                if own not in gathered:
                    gathered[own] = Gathered(self._known(own))
                gathered[own].take(what, key, message.value)
            except UNREADABLE as error:
                log.error(
                    "a message was passed over", topic=tp.topic, partition=tp.partition, offset=message.offset, problem=str(error)
                )
        for municipality, said in gathered.items():
            noted = {f"number:{municipality}:{topic}": str(n) for topic, n in said.numbers.items()}
            if said.clock is not None and said.clock.method:
                day, method, program = said.clock.clock_day, said.clock.method, said.clock.program
                noted |= method_to_note(self.store, municipality, method, day, program)
            changes, sending = said.changes(municipality), self.sending.get(municipality)
            also = sending.dispatch.kept_with(changes, datetime.now(UTC)) if sending is not None else []
            self.store.commit(changes, said.letters, noted, also=also)
            self._numbers[municipality] = said.numbers
            self.metrics.count_changes(said.history)
        # Written last: what is read twice is known by its number, or replaces itself.
        self.store.commit(None, source_state={_place(tp): str(messages[-1].offset + 1)})

    # ---- answers --------------------------------------------------------------------------------------------------

    def answer(self, said: Answer, municipality: str) -> Casework:
        """Take an answer, and tell the workers what it says to the baselines. Raises AnswerError, StoreError."""
        return self.answering.take(said, municipality, partial(self._heed, municipality))

    def _heed(self, municipality: str, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        for verdict in verdicts:
            self._verdicts.put(VerdictMessage(municipality=municipality, verdict=verdict))
        return verdicts

    def _tell(self) -> None:
        """Send the verdicts that wait. What cannot be sent now is sent again when the desk reads again. Raises KafkaError."""
        while not self._verdicts.empty():
            if self._teller is None:
                self._teller = Producer(self.cluster)  # events have one of their own, which another thread uses
            self._teller.answer(self._verdicts.get())

    def _take_answer(self, tp: Any, message: Any) -> DeadLetter | None:
        """Take an answer that came by the topic; one that cannot be taken is a dead letter."""
        municipality, answer_id = (message.key or b"").decode(errors="replace")[:12], None
        try:
            said = feedback.decode(message.value or b"")
            if isinstance(said, VerdictMessage):
                return None
            municipality, answer_id = said.municipality, said.answer.answer_id
            self.answer(said.answer, said.municipality)
            return None
        except UNREADABLE as error:
            # Where it is wrong, not what it says there.
            place = str(error).rpartition(" - at ")[2] if " - at " in str(error) else "`$`"
            field, rule, problem = "answer", "json", f"is no answer as the schema says, at {place}"
        except AnswerError as error:
            field, rule, problem = error.field, error.rule, error.problem
        way = f"kafka:{FEEDBACK}/{tp.partition}"
        return DeadLetter(
            received_at=datetime.now(UTC), municipality=municipality, way=way, position=message.offset, field=field[:64], rule=rule,
            problem=problem, event_id=answer_id, kind="answer",
        )  # fmt: skip

    def _municipality(self, what: str, key: str, value: bytes) -> str:
        if what == ALERTS:
            return _alert.decode(value).municipality
        return _letter.decode(value).letter.municipality if what == DEAD_LETTERS else key.split("/", 1)[0]

    def _known(self, municipality: str) -> dict[str, int]:
        if municipality not in self._numbers:
            kept = {topic: self.store.source_state(f"number:{municipality}:{topic}") for topic in (ALERTS, DEAD_LETTERS)}
            self._numbers[municipality] = {topic: int(number) for topic, number in kept.items() if number}
        return self._numbers[municipality]

    def _put_in_force(self, tp: Any, messages: Sequence[Any]) -> None:
        # The topic is read from its beginning at each start; what was read before is in force again, and no new version.
        kept = int(self.store.source_state(_place(tp)) or 0)
        for message in messages:
            settings = self.published.take((message.key or b"").decode(errors="replace"), message.value)
            if settings is None:
                continue
            code = settings.municipality.code
            try:
                counter = Counter(self, settings)
                self.sending[code] = sending_of(self.store, settings, counter.register, counter.tree)
                if message.offset >= kept:
                    decision = decision_of(message.value)
                    SettingsVersions(self.store, code).add(settings.version, settings.text, datetime.now(UTC), decision)
                self.counters[code] = counter
            except (ValueError, OSError) as error:
                self.published.refuse(code)
                log.error("settings refused", municipality=code, problem=str(error))
        self.store.commit(None, source_state={_place(tp): str(max(kept, messages[-1].offset + 1))})

    def forget(self, now: datetime) -> None:
        """Forget what the municipalities' retention has ended for, each once a local day."""
        every = [sending.settings for sending in list(self.sending.values())]
        in_force = [s.version for s in every]
        with self.answering.one_at_a_time:
            ran = [daily(self.forgetting, s, now, in_force) for s in every]
            if any(ran):
                self.forgetting.strays([s.municipality.code for s in every], Retention().dead_letters_months, now)

    def show_state(self) -> None:
        """Bring the gauges up to date with the store, before someone reads the metrics."""
        self._delivery.show_state()
        self.metrics.say_what_runs("desk", "events")
        self.metrics.ready.set(self.alive)
        self.metrics.show_alerts(self.store.alert_counts())
        self.metrics.dead_letters.set(sum(n for *_, state, n in self.store.dead_letter_counts() if state == "waiting"))


def _place(tp: Any) -> str:
    return f"kafka:{tp.topic[-50:]}/{tp.partition}"
