"""Pictures of the pages, from a made-up year in Uppsala: python docs/screenshots.py [FOLDER]

With a folder, all pages in all ways; without one, those that the documents show, into docs/img. Areas are Uppsala's;
every event is drawn at random and none of it happened. Needs Debian's chromium and the package playwright.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from importlib import resources
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

OUT = Path(__file__).parent / "img"
TALLEST = 2_800  # pixels: what is longer is cut
CODE = "0380"
DAYS, JUDGED = 3 * 365, 70  # of history, and of them the newest ones that are judged
LAST = datetime(2026, 3, 15, tzinfo=UTC)
SETTINGS = """
[municipality]
code = "0380"
name = "Uppsala"
language = "sv"
[registers]
areas = "builtin:uppsala"
[service]
clock = "events"
[store]
url = "sqlite:///store.db"
[events]
oldest = 2022-01-01
[detection]
min_years = 1
years = 3
"""
# How many a day in the whole municipality, by category and kind of source.
RATES = {
    ("GRAFFITI", "incident"): 4.0, ("DAMAGE", "incident"): 5.0, ("NOISE", "report"): 4.5, ("GATHERING", "report"): 3.0,
    ("FIRE-OUTDOORS", "incident"): 0.8, ("DRUG-DEALING", "report"): 1.2, ("ALCOHOL-YOUTH", "report"): 1.0,
}  # fmt: skip
# Rises: category, kind, place in the register's order, first day before the last, days, events a day more.
RISES = (
    ("GRAFFITI", "incident", 20, 24, 24, 1.1), ("GRAFFITI", "incident", 21, 12, 12, 1.0), ("DAMAGE", "incident", 33, 5, 5, 2.6),
    ("GATHERING", "report", 12, 9, 9, 1.4), ("FIRE-OUTDOORS", "incident", 40, 3, 3, 2.2), ("DAMAGE", "incident", 8, 40, 10, 1.8),
)  # fmt: skip
MARKED = ("Klotter längs gångstråket", "Skadegörelse på skolgården", "Krossade busskurer")  # of these, the known events
SOURCES = {"incident": ("wardens", "caretakers"), "report": ("residents", "field-assistants")}
PAGES = (
    ("picture", "/picture?kind=incident"), ("area", "/areas/{area}?kind=incident&category=GRAFFITI"), ("inbox", "/alerts"),
    ("alert", "/alerts/{alert}"), ("operations", "/operations"), ("plan", "/plan"), ("briefing", "/briefing"),
    ("settings", "/settings"), ("letters", "/dead-letters"),
    ("lab", "/lab?budget=3&min_count=4&tendencies=surge,cluster,shift,severe,first,apart,drift"), ("known", "/lab/known"),
)  # fmt: skip
SHOTS = (("sv", 1280, "light"), ("en", 1280, "dark"), ("sv", 400, "light"))
KEPT = (
    "page-picture",
    "page-area-sv-1280",
    "page-inbox",
    "page-alert-sv-1280",
    "page-operations-sv-1280",
    "page-plan-sv-1280",
    "page-briefing-sv-1280",
    "page-settings-en-1280",
    "page-letters-sv-1280",
    "page-lab-sv-1280",
)  # in docs/img


def area_codes() -> list[str]:
    """The areas in the register's order."""
    outlines = resources.files("earlywarning.data").joinpath("uppsala", "areas.geojson").read_text(encoding="utf-8")
    return [feature["properties"]["code"] for feature in json.loads(outlines)["features"]]


def events() -> list[dict[str, object]]:
    """Made-up events in the order of recording."""
    rng = np.random.default_rng(380)
    areas = area_codes()
    busy = rng.lognormal(0, 0.7, len(areas))
    busy /= busy.sum()
    begin = LAST - timedelta(days=DAYS)
    out: list[dict[str, object]] = []

    def add(category: str, kind: str, area: str, day: int) -> None:
        when = begin + timedelta(days=day, minutes=float(rng.uniform(5 * 60, 21 * 60)))
        recorded = when + timedelta(hours=float(rng.exponential(9)))
        out.append(
            {"kind": kind, "event_id": f"e-{len(out)}x", "source": str(rng.choice(SOURCES[kind])), "category": category,
             "municipality": CODE, "area": area, "occurred_at": when.isoformat(), "recorded_at": recorded.isoformat()}
        )  # fmt: skip

    for (category, kind), rate in RATES.items():
        for day in range(DAYS):
            season = 1 + 0.25 * np.cos(2 * np.pi * ((begin + timedelta(days=day)).timetuple().tm_yday - 190) / 365)
            for area in rng.choice(areas, rng.poisson(rate * season), p=busy):
                add(category, kind, str(area), day)
    for category, kind, place, before, days, more in RISES:
        for day in range(DAYS - before, DAYS - before + days):
            for _ in range(rng.poisson(more)):
                add(category, kind, areas[place], day)
    return sorted(out, key=lambda e: str(e["recorded_at"]))


def main() -> None:
    """Make the town, run the service on it, and take its pictures."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "earlywarning.toml").write_text(SETTINGS, encoding="utf-8")
        made = events()
        cut = (LAST - timedelta(days=JUDGED)).isoformat()
        for file, part, options in (
            ("history.jsonl", [e for e in made if str(e["recorded_at"]) < cut], ["--as-history"]),
            ("news.jsonl", [e for e in made if str(e["recorded_at"]) >= cut], []),
        ):
            (folder / file).write_text("\n".join(map(json.dumps, part)), encoding="utf-8")
            subprocess.run([sys.executable, "-m", "earlywarning", "ingest", file, *options], cwd=folder, check=True)  # noqa: S603
        service = subprocess.Popen(
            [sys.executable, "-m", "earlywarning", "run", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        try:
            said = ""
            while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/v1/events", said)):
                said += service.stdout.readline() if service.stdout else ""
            answer_some(found.group(1))
            refuse_some(found.group(1))
            plan(found.group(1))
            lab(found.group(1))
            take(found.group(1), chromium, out)
        finally:
            service.terminate()
            service.wait()


def answer_some(address: str) -> None:
    """Casework on two alerts, so that not everything is new."""
    alerts = httpx.get(f"{address}/v1/alerts").json()["alerts"]
    steps = [
        {"action": "acknowledge"}, {"action": "assess", "assessment": "confirmed", "reason": "new-problem"},
        {"action": "picture", "picture": {"situation": "Klotter på fasader och elskåp längs gångstråket, mest under helgnätter"}},
        {"action": "cause", "cause": "lighting", "note": "Två lampor är trasiga"},
        {"action": "measure", "answers": 1, "what": "Byt lamporna och sanera inom ett dygn", "owner": "Gatukontoret",
         "due": "2027-04-30", "goal": "Högst två nya klotter i veckan"},
    ]  # fmt: skip
    for alert, some in zip(alerts, (steps[:1], steps), strict=False):
        for n, step in enumerate(some):
            body = {"answer_id": f"{alert['alert_id']}-{n}", "actor": "samordnaren", **step}
            httpx.post(f"{address}/v1/alerts/{alert['alert_id']}/answers", json=body).raise_for_status()


def refuse_some(address: str) -> None:
    """Events that no register knows, so that something waits for another try."""
    when = LAST.isoformat()
    event = {"kind": "incident", "source": "caretakers", "municipality": CODE, "occurred_at": when, "recorded_at": when}
    pairs = (("GOTTSUND", "GRAFFITI"), ("GOTTSUND", "DAMAGE"), ("0380", "KLOTTER"))
    wrong = [{"area": area, "category": category} for area, category in pairs]
    body = [{**event, "event_id": f"refused-{i}x", **fields} for i, fields in enumerate(wrong)]
    httpx.post(f"{address}/v1/events", json=body).raise_for_status()


def plan(address: str) -> None:
    """The made-up action plan that comes with the package, put in force."""
    body = resources.files("earlywarning.data").joinpath("action_plan.toml").read_bytes()
    httpx.post(f"{address}/v1/plan", params={"actor": "samordnaren"}, content=body).raise_for_status()


def lab(address: str) -> None:
    """The history recorded, and two known events marked: the rises that were made up."""
    with httpx.Client(base_url=address) as client:
        secret = re.search(r'name="csrf" value="(\w+)"', client.get("/lab").text)
        form = {"csrf": secret.group(1) if secret else ""}
        client.post("/lab/recording", data=form)
        for name, (category, _, place, before, days, _) in zip(MARKED, (RISES[0], RISES[2], RISES[5]), strict=True):
            first, last = (LAST - timedelta(days=n) for n in (before, before - days + 1))
            fields = {"action": "add", "name": name, "area": area_codes()[place], "category": category}
            client.post("/lab/known", data={**form, **fields, "first": f"{first:%Y-%m-%d}", "last": f"{last:%Y-%m-%d}"})
        while client.get("/v1/lab/recording").json()["state"] == "making":
            time.sleep(1)


def take(address: str, chromium: str, out: Path) -> None:
    """One picture of each page in each way."""
    alerts = httpx.get(f"{address}/v1/alerts").json()["alerts"]
    about = next((a for a in alerts if a["categories"] == ["GRAFFITI"]), alerts[0])
    filled = {"area": about["areas"][0], "alert": alerts[1]["alert_id"]}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for language, width, scheme in SHOTS:
            page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
            page.goto(f"{address}/accessibility?language={language}")
            for name, path in PAGES:
                page.goto(address + path.format(**filled))
                page.wait_for_timeout(4000 if name == "lab" else 200)
                file = f"page-{name}-{language}-{width}-{scheme}.png"
                if out != OUT or file.startswith(KEPT):
                    shot = Image.open(BytesIO(page.screenshot(full_page=True)))
                    shot = shot.crop((0, 0, shot.width, min(shot.height, TALLEST)))
                    # Few colours: a quarter of the bytes, and no difference that is seen.
                    shot.convert("RGB").quantize(96, dither=Image.Dither.NONE).save(out / file, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
