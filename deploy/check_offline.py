"""The pages of an installed earlywarning without a network, in Chromium: python deploy/check_offline.py EARLYWARNING FOLDER

EARLYWARNING: the installed command. FOLDER: with earlywarning.toml and a store that holds events. Service and browser run in a
network namespace that has nothing but its own loopback; where the kernel does not allow that, the browser at least finds no other
host. On every page: no request to anywhere else, none that fails, no address of elsewhere in page or style sheet, no barrier that
axe finds. Needs util-linux, iproute2 and Debian's chromium; playwright and axe-core as the tests have them.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Page, Request, Response, sync_playwright

from tests.web.browser import ARGS, TAGS, axe_source, barriers

PAGES = (
    "/picture", "/alerts", "/alerts?which=all", "/areas/0380", "/plan", "/briefing", "/operations", "/settings",
    "/settings/drafts/new?detection.min_count=3", "/dead-letters", "/accessibility", "/nothing",
)  # fmt: skip
ELSEWHERE = re.compile(r"(?:https?:)?//[^\s\"'<>)]+")
INSIDE = "EARLYWARNING_OFFLINE"


def alone() -> None:
    """Run this program once more where there is no network; returns there, or where that is not allowed."""
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    for way in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            os.environ[INSIDE] = "yes"
            os.execvp(way[0], [*way, sys.executable, *sys.argv])  # noqa: S606
    print("No network namespace is allowed here; the browser is kept from other hosts instead.")


def reached() -> bool:
    """Whether anything but loopback is in reach (an address that is kept for documents, RFC 5737)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        try:
            out.connect(("192.0.2.1", 9))
        except OSError:
            return False
    return True


def foreign(text: str, address: str) -> list[str]:
    """Addresses of elsewhere in a page or style sheet. Names of XML vocabularies are no addresses that anybody asks."""
    return [found for found in ELSEWHERE.findall(text) if not found.startswith((address, "http://www.w3.org/"))]


def look(page: Page, address: str, axe: str) -> list[str]:
    """What is wrong with the pages."""
    wrong: list[str] = []
    asked: list[Request] = []
    page.on("request", lambda r: asked.append(r))  # noqa: PLW0108  # playwright marks what it is given
    page.on("requestfailed", lambda r: wrong.append(f"failed: {r.url}") if not r.url.endswith("/live") else None)
    page.on("pageerror", lambda e: wrong.append(f"script: {e}"))

    def came(answer: Response) -> None:  # a page may say that there is nothing yet; what belongs to it must be there
        if answer.status >= (500 if answer.request.resource_type == "document" else 400):
            wrong.append(f"{answer.status}: {answer.url}")

    page.on("response", came)
    for language in ("sv", "en"):
        page.goto(f"{address}/accessibility?language={language}")  # a cookie keeps it
        for path in PAGES:
            page.goto(address + path)
            wrong += [f"{path}: {found}" for found in foreign(page.content(), address)]
            wrong += [f"{path}: {found}" for found in barriers(page, axe, TAGS)]
    sheets = {r.url for r in asked if r.resource_type in ("stylesheet", "script")}
    for sheet in sorted(sheets):
        wrong += [f"{sheet}: {found}" for found in foreign(page.request.get(sheet).text(), address)]
    kinds = {r.resource_type for r in asked}
    if not {"document", "stylesheet", "script", "image"} <= kinds:
        wrong.append(f"only {sorted(kinds)} were asked for: this looks at nothing")
    wrong += [f"asked elsewhere: {r.url}" for r in asked if not r.url.startswith((address + "/", "data:"))]
    print(f"{len(asked)} requests on {2 * len(PAGES)} pages, {len(sheets)} style sheets and scripts, all of {address}")
    return wrong


def main() -> None:
    """Look at all pages; exits with what is wrong."""
    command, folder = str(Path(sys.argv[1]).absolute()), sys.argv[2]
    axe = axe_source()  # fetched while there is a network
    alone()
    if os.environ.get(INSIDE) and reached():
        sys.exit("there is a network in here")
    service = subprocess.Popen([command, "run", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        said = ""
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/v1/events", said)):
            line = service.stdout.readline() if service.stdout else ""
            if not line:
                sys.exit(f"the service ended: {said[-500:]}")
            said += line
        with sync_playwright() as playwright:
            rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*ARGS, rules])
            wrong = look(browser.new_page(), found.group(1), axe)
            browser.close()
    finally:
        service.terminate()
        service.wait(timeout=60)
    if wrong:
        sys.exit("\n".join(wrong))
    print("The pages are whole without a network." if os.environ.get(INSIDE) else "The pages ask no other host.")


if __name__ == "__main__":
    main()
