"""The first visit to each page with the service warm: bytes on the wire, the server's time, what Chromium sees with a slow CPU.

    python benchmarks/first_page.py [--visits 7] [--cpu 4] [--town FOLDER]

60 areas x 40 categories, five years, the service in a process of its own. Each visit is that of a new browser without a cache, and
takes turns with one to an empty page from a bare server, so that both meet the same machine. LCP: largest contentful paint; TBT:
the parts beyond 50 ms of tasks that block the page; CLS: how much the layout shifts. "mobile" is a line of 1.6 Mbit/s with 150 ms
to the other end, as Lighthouse has it for telephones. Needs Debian's chromium and the package playwright.
"""

import argparse
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from playwright.sync_api import Browser, sync_playwright
from served import made, served

EMPTY = b"<!doctype html><html lang=en><title>Empty</title><h1>Empty</h1>"
WATCH = """
window.seen = { lcp: 0, cls: 0, tbt: 0 };
const watch = (type, each) => new PerformanceObserver(l => l.getEntries().forEach(each)).observe({ type, buffered: true });
watch("largest-contentful-paint", e => { seen.lcp = e.startTime; });
watch("layout-shift", e => { seen.cls += e.hadRecentInput ? 0 : e.value; });
watch("longtask", e => { seen.tbt += Math.max(e.duration - 50, 0); });
"""
LINES = {"loopback": None, "mobile": {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750}}


class Visit(NamedTuple):
    """Bytes on the wire, of how many requests; milliseconds of the server for the page, LCP and TBT; CLS without a unit."""

    size: float
    requests: int
    server: float
    lcp: float
    tbt: float
    cls: float


class Bare(http.server.BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(EMPTY)))
        self.end_headers()
        self.wfile.write(EMPTY)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def empty_page() -> Iterator[str]:
    """The address of the empty page."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bare)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def visit(browser: Browser, address: str, cpu: float, line: dict[str, object] | None) -> Visit:
    """One visit of a browser that has never been there."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    sizes: list[float] = []
    server: list[float] = []

    def came(event: dict[str, dict[str, dict[str, float]]]) -> None:
        timing = event["response"].get("timing")
        if event.get("type") == "Document" and timing:
            server.append(timing["receiveHeadersEnd"] - timing["sendEnd"])

    wire.on("Network.loadingFinished", lambda e: sizes.append(e["encodedDataLength"]))
    wire.on("Network.responseReceived", came)
    if line:
        wire.send("Network.emulateNetworkConditions", line)
    wire.send("Emulation.setCPUThrottlingRate", {"rate": cpu})
    page.add_init_script(WATCH)
    page.goto(address, wait_until="load")
    page.wait_for_timeout(300)  # what is painted last has been told by then
    seen = page.evaluate("window.seen")
    context.close()
    return Visit(sum(sizes), len(sizes), server[0], seen["lcp"], seen["tbt"], seen["cls"])


def main() -> None:
    """Measure each page on each line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=7)
    parser.add_argument("--cpu", type=float, default=4)
    parser.add_argument("--town", type=Path, default=Path("/tmp/earlywarning-benchmark"))  # noqa: S108  # no secret in it
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed; on Debian: apt-get install chromium")
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M}, CPU slowed {given.cpu:g} times, medians of {given.visits} visits")
    print("| page | line | kB (requests) | server ms (most) | LCP ms (most) | LCP of the empty page | ratio | TBT ms | CLS |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with served(made(given.town)) as address, empty_page() as empty, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        alert = httpx.get(f"{address}/v1/alerts").json()["alerts"][0]["alert_id"]
        for path in ("/picture", "/alerts", f"/alerts/{alert}", "/areas/A07", "/operations"):
            visit(browser, address + path, 1, None)  # warm
            for name, line in LINES.items():
                ours, theirs = [], []
                for _ in range(given.visits):
                    ours.append(visit(browser, address + path, given.cpu, line))
                    theirs.append(visit(browser, empty, given.cpu, line).lcp)
                m, most = Visit(*np.median(ours, axis=0).tolist()), Visit(*np.max(ours, axis=0).tolist())
                bare = float(np.median(theirs))
                print(
                    f"| {'/alerts/ID' if alert in path else path} | {name} | {m.size / 1000:.1f} ({m.requests:.0f}) "
                    f"| {m.server:.0f} ({most.server:.0f}) | {m.lcp:.0f} ({most.lcp:.0f}) | {bare:.0f} | {m.lcp / bare:.1f} "
                    f"| {m.tbt:.0f} | {m.cls:.3f} |",
                    flush=True,
                )
        browser.close()


if __name__ == "__main__":
    main()
