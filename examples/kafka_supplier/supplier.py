"""Send events of a JSON Lines file to the service on Kafka, and wait until the brokers have all of them."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from kafka import KafkaProducer
from kafka.errors import KafkaError

AT_ONCE = 500  # events of a message; at most 4 MB
TOPICS = {"incident": "incidents", "report": "reports"}


def messages(file: Path) -> Iterator[tuple[str, bytes]]:
    """(topic, value) of each message; the events of a topic in the file's order."""
    gathered: dict[str, list[bytes]] = {topic: [] for topic in TOPICS.values()}
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            topic = TOPICS.get(json.loads(line).get("kind"))
            if topic is None:
                sys.exit(f"line {number}: kind must be one of {', '.join(TOPICS)}")
            gathered[topic].append(line.strip())
            if len(gathered[topic]) == AT_ONCE:
                yield topic, b"\n".join(gathered[topic])
                gathered[topic] = []
    for topic, left in gathered.items():
        if left:
            yield topic, b"\n".join(left)


def main() -> int:
    """The command."""
    say = argparse.ArgumentParser(description=__doc__)
    say.add_argument("brokers")
    say.add_argument("municipality")
    say.add_argument("file", type=Path)
    say.add_argument("--prefix", default="earlywarning", help="of the topics, as in [kafka] of the settings")
    say.add_argument("--as-history", action="store_true", help="of the past: counted, none of their days is judged")
    given = say.parse_args()
    headers = [("as-history", b"1")] if given.as_history else []
    producer = KafkaProducer(bootstrap_servers=given.brokers.split(","), acks="all", retries=10, max_request_size=5_000_000)
    try:
        sent = [
            producer.send(f"{given.prefix}.{topic}", key=given.municipality.encode(), value=value, headers=headers)
            for topic, value in messages(given.file)
        ]
        for message in sent:
            message.get(timeout=60)
    except KafkaError as error:
        print(f"not all was sent ({error}); send the file again: the same event counts once", file=sys.stderr)
        return 1
    finally:
        producer.close()
    print(f"{len(sent)} messages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
