"""A receiver of webhook messages: checks the signature, drops repetitions, prints what it took."""

import argparse
import json
import sys
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from standardwebhooks import Webhook, WebhookVerificationError

LARGEST = 4_000_000  # bytes of a message; pictures of alerts are inside
REMEMBERED = 100_000  # keys of messages; where a restart must not act twice, keep them in your database


class Seen:
    """Keys of messages that were taken."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def first_time(self, key: str) -> bool:
        """Whether this key is new; it is remembered."""
        with self._lock:
            new = key not in self._keys
            self._keys[key] = None
            if len(self._keys) > REMEMBERED:
                self._keys.popitem(last=False)
            return new


def handler(webhook: Webhook) -> type[BaseHTTPRequestHandler]:
    """The server's handler for messages that are signed with this key."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not length.isdecimal() or int(length) > LARGEST:
                return self.say(413)
            body = self.rfile.read(int(length))
            try:
                # Over the very bytes that came, before they are read as JSON.
                webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
            except WebhookVerificationError:
                return self.say(401)
            message = json.loads(body)
            if seen.first_time(message["key"]):
                # Act here, and answer only afterwards: what is not answered with 2xx comes again.
                print(json.dumps({"key": message["key"], "kind": message["kind"]}), flush=True)
            return self.say(200)

        def say(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """No address of anybody in a log."""

    return Handler


def main() -> int:
    """The command."""
    say = argparse.ArgumentParser(description=__doc__)
    say.add_argument("--key-file", type=Path, required=True)
    say.add_argument("--port", type=int, default=8700)
    given = say.parse_args()
    webhook = Webhook(given.key_file.read_text().strip())
    with ThreadingHTTPServer(("127.0.0.1", given.port), handler(webhook)) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
