"""Commands of the service on Kafka: topics, settings for all workers, workers, the desk, a supplier's events."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import structlog
from rich.console import Console

from earlywarning.cli.feeding import Tally, shown_progress, summary, through_file
from earlywarning.cli.place import OperatorError, find_settings
from earlywarning.settings import ClusterSettings, load_cluster_settings, load_settings
from earlywarning.sources.supply import Supply

_INSTALL = "the service on Kafka needs the extra: pip install 'earlywarning[kafka]'"


def _cluster(named: Path | None) -> ClusterSettings:
    try:
        import faust  # noqa: F401, PLC0415
        import kafka  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise OperatorError(_INSTALL) from error
    return load_cluster_settings(find_settings(named))


def make_topics(settings_file: Path | None) -> None:
    """Make the topics that are missing, then check all."""
    cluster = _cluster(settings_file)
    from earlywarning.runtimes.kafka.topics import create_topics  # noqa: PLC0415

    for name in create_topics(cluster):
        print(f"made {name}")
    check_topics(settings_file)


def check_topics(settings_file: Path | None) -> None:
    """Whether the topics are as they must be."""
    cluster = _cluster(settings_file)
    from earlywarning.runtimes.kafka.topics import topic_problems, wanted  # noqa: PLC0415

    if problems := topic_problems(cluster):
        raise OperatorError("\n".join(problems))
    for topic in wanted(cluster.kafka):
        print(f"{topic.name}: {topic.partitions} partitions, {topic.configs['cleanup.policy']}")


def publish_settings(files: Sequence[Path], settings_file: Path | None) -> None:
    """Put the settings of municipalities in force in all workers."""
    if not files:
        raise OperatorError("name the settings file of at least one municipality: earlywarning settings publish FILE...")
    cluster = _cluster(settings_file or files[0])
    from earlywarning.runtimes.assembly import area_register, category_tree  # noqa: PLC0415
    from earlywarning.runtimes.kafka.producing import Producer  # noqa: PLC0415

    every = [load_settings(file) for file in files]
    for settings in every:
        area_register(settings)  # what no worker could use is refused here
        category_tree(settings)
    with Producer(cluster) as producer:
        producer.publish(every)
    for settings in every:
        print(f"{settings.municipality.code} {settings.municipality.name}: version {settings.version} is published")


def produce_files(files: Sequence[Path], settings_file: Path | None, mapping: str, *, as_history: bool) -> None:
    """Send files of events as a supplier would."""
    if not files:
        raise OperatorError("name at least one file: earlywarning produce FILE...")
    path = find_settings(settings_file)
    cluster, settings = _cluster(path), load_settings(path)
    if mapping and mapping not in settings.mappings:
        known = ", ".join(settings.mappings) or "none"
        raise OperatorError(f"there is no mapping {mapping!r} in the settings; there are: {known}")
    from earlywarning.runtimes.kafka.producing import Producer  # noqa: PLC0415

    tally, problems, sent = Tally(), list[str](), Counter[str]()
    with Producer(cluster, as_history=as_history) as producer:

        def take(supply: Supply) -> None:
            sent.update(producer.send(supply.decoded.events))
            tally.outcomes["rejected"] += len(supply.decoded.rejections)
            tally.rules.update(r.rule for r in supply.decoded.rejections)

        with shown_progress(Console(stderr=True)) as progress:
            for file in files:
                through_file(file, settings, mapping, progress, tally, problems, take)
        producer.flush()
    tally.outcomes["queued"] = sent.total()
    summary(Console(), tally, settings.municipality.language)
    print(f"{producer.messages} messages")
    if problems:
        raise OperatorError("; ".join(problems))


def run_kafka_worker(settings_file: Path | None) -> None:
    """Run a worker until it is told to end."""
    cluster = _cluster(settings_file)
    from earlywarning.runtimes.kafka.worker import run_worker  # noqa: PLC0415

    run_worker(cluster)


def run_desk(settings_file: Path | None, host: str, port: int | None) -> None:
    """Run the desk until it is told to end."""
    cluster = _cluster(settings_file)
    from earlywarning.cli.serve import end_in_order, listen  # noqa: PLC0415
    from earlywarning.runtimes.kafka.desk import Desk  # noqa: PLC0415
    from earlywarning.runtimes.process_memory import give_back_large_blocks, give_back_small_blocks  # noqa: PLC0415
    from earlywarning.web.many import make_many  # noqa: PLC0415
    from earlywarning.web.serving import server_of  # noqa: PLC0415

    listening = listen(host or cluster.service.host, cluster.service.port if port is None else port)
    address = f"http://{listening.getsockname()[0]}:{listening.getsockname()[1]}"
    desk = Desk.open(cluster, holder=address)
    try:
        sys.setswitchinterval(0.0005)  # as in the service in one process
        end_in_order()
        give_back_large_blocks()
        give_back_small_blocks()
        desk.start()
        structlog.get_logger(__name__).info("desk listens", address=address)
        app = make_many(desk.counters, desk.metrics, desk.show_state, lambda: desk.alive, host or cluster.service.host)
        server_of(app).run(sockets=[listening])
    finally:
        desk.stop()
        listening.close()
