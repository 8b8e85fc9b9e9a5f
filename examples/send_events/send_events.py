"""Send events of a JSON Lines file to the service, look at every answer, and come again when it asks for that."""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from itertools import islice
from pathlib import Path

AT_ONCE = 500  # events; a batch is answered once it is on disk
ATTEMPTS = 6


class GaveUp(Exception):
    """The service did not take a batch."""


def post(address: str, body: bytes, token: str) -> dict:
    """The answer to a batch: {"counts": {outcome: n}, "results": [{"index", "outcome", "field", "rule", ...}]}.

    Raises GaveUp after ATTEMPTS, and at once when the request itself is wrong.
    """
    headers = {"content-type": "application/x-ndjson"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(f"{address.rstrip('/')}/v1/events", data=body, headers=headers, method="POST")
    pause = 1.0
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # status 207: a result for each event
                return json.load(answer)
        except urllib.error.HTTPError as error:
            words = error.read().decode("utf-8", "replace")
            if error.code not in (408, 429, 502, 503, 504):  # the same request would be refused again
                raise GaveUp(f"{error.code}: {words}") from None
            asked = error.headers.get("retry-after", "")
            wait = float(asked) if asked.isdecimal() else pause
            print(f"attempt {attempt}: {error.code}; again in {wait:.0f} s", file=sys.stderr)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            # Perhaps it was taken and only the answer was lost: sent again, it is answered "repeated".
            wait = pause
            print(f"attempt {attempt}: {error}; again in {wait:.0f} s", file=sys.stderr)
        if attempt < ATTEMPTS:
            time.sleep(wait)
        pause = min(2 * pause, 60)
    raise GaveUp(f"no answer after {ATTEMPTS} attempts")


def main() -> int:
    """The command."""
    say = argparse.ArgumentParser(description=__doc__)
    say.add_argument("address")
    say.add_argument("file", type=Path)
    say.add_argument("--token-file", type=Path)
    given = say.parse_args()
    token = given.token_file.read_text().strip() if given.token_file else ""
    totals: dict[str, int] = {}
    with given.file.open("rb") as lines:
        before = 0
        while batch := list(islice(lines, AT_ONCE)):
            try:
                answer = post(given.address, b"".join(batch), token)
            except GaveUp as error:
                print(f"lines {before + 1} to {before + len(batch)} were not taken: {error}", file=sys.stderr)
                return 2
            for outcome, n in answer["counts"].items():
                totals[outcome] = totals.get(outcome, 0) + n
            for result in answer["results"]:
                if result["outcome"] == "rejected":  # mend it, raise no revision, and send it again
                    print(f"line {before + result['index']}: {result.get('field')}: {result['rule']}: {result['problem']}")
            before += len(batch)
    print(json.dumps(totals, sort_keys=True))
    return 1 if totals.get("rejected") else 0


if __name__ == "__main__":
    sys.exit(main())
