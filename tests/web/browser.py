"""A real Chromium for the tests of the pages, and axe-core to look for barriers in them."""

import fcntl
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import left_out

Open = Callable[..., Page]  # an address, and how the browser's window is to be
HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    path = shutil.which("chromium")
    if path is None:
        left_out("Chromium is not installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield browser
        browser.close()


def axe_source() -> str:
    """axe-core as npm's lock file says; fetched where it is not there yet, by one process while others wait."""
    with (HERE / "package-lock.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not AXE.is_file():
            if shutil.which("npm") is None:
                left_out("axe-core is not there and npm is not installed; on Debian: apt-get install npm")
            made = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=HERE, capture_output=True, text=True, check=False)
            if made.returncode:
                left_out(f"axe-core could not be fetched: {made.stderr[-500:]}")
        return AXE.read_text(encoding="utf-8")


def barriers(page: Page, axe: str, only: list[str]) -> list[str]:
    """What axe finds on a page: rule, element, and why. only: tags or rules."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(axe)
    found: Any = page.evaluate("only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only)
    return [
        f"{v['id']}: {n['html'][:160]} ({n.get('failureSummary', '')[:300]})" for v in found["violations"] for n in v["nodes"][:3]
    ]
