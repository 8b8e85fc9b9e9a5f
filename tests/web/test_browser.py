"""The pages in a real browser: no barriers in either language, light and dark; the paths people take, by hand and keyboard."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import expect
from pypdf import PdfReader

from tests.plan.plans import TOML
from tests.web.browser import TAGS, Open, barriers
from tests.web.conftest import Running, account, alert_ids, body, signed_in


@pytest.fixture(scope="module")
def served_town(lab_town: Path) -> Path:
    return lab_town


def version_of(service: Running) -> str:
    """Of the settings in force."""
    return str(service.client.get("/readyz").json()["settings_version"])


def a_draft(service: Running) -> int:
    """A draft with a clash, made where there is none yet; returns its number."""
    if drafts := service.client.get("/v1/settings/drafts").json()["drafts"]:
        return int(drafts[-1]["draft_id"])
    made = []
    for count in (5, 6):
        body = {"changes": {"detection.min_count": count}, "reason": "noise"}
        made.append(service.client.post("/v1/settings/drafts", json=body).json()["draft_id"])
    seen = service.client.get("/v1/settings").json()["number"]
    step = {"revision": 1, "seen": seen}
    assert service.client.post(f"/v1/settings/drafts/{made[1]}/apply", json=step).status_code == 200
    return int(made[0])


def put_plan(service: Running) -> None:
    """An action plan in force, and a refused event that waits."""
    assert service.client.post("/v1/plan", params={"actor": "Styrgruppen"}, content=TOML.encode()).status_code == 200
    service.send([body(1, area="A77")])


@pytest.mark.parametrize("language", ["sv", "en"])
def test_axe_finds_nothing_on_any_page_in_light_or_dark_and_none_is_wider_than_a_telephone(
    service: Running, closed: Running, visit: Open, axe: str, language: str
) -> None:
    day = "2024-03-07"
    pages = [
        f"/picture?day={day}&window=1&kind=incident&all=1", f"/areas/A0?day={day}&kind=incident", "/alerts?which=all",
        f"/alerts/{alert_ids(service)[0]}", "/operations?log=all", "/settings", "/settings/drafts/new?detection.min_count=0",
        f"/settings/drafts/{a_draft(service)}", "/accessibility", "/nothing",
        "/plan", "/briefing?week=2024-W10", "/dead-letters",
        "/lab?budget=3&min_count=2&windows=1,7&areas=A4&inject=1&curve=1&place=A4&category=C1", "/lab?budget=x", "/lab/known",
    ]  # fmt: skip
    put_plan(service)
    page = visit(f"{service.address}/picture?language={language}", reduced_motion="reduce")
    found = {}

    def look(address: str) -> None:
        page.goto(address)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert page.locator("html").get_attribute("lang") == language
        page.emulate_media(color_scheme="light")
        found[address] = barriers(page, axe, TAGS)
        page.emulate_media(color_scheme="dark")
        found[address] += barriers(page, axe, ["color-contrast", "link-in-text-block"])  # what depends on colours
        page.set_viewport_size({"width": 400, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth")
        found[address] += [f"is {wide} wide"] if wide > 400 else []
        page.set_viewport_size({"width": 1280, "height": 900})

    for path in pages:
        look(service.address + path)
    page.goto(f"{service.address}/plan")
    page.set_input_files("#file", {"name": "plan.toml", "mimeType": "text/plain", "buffer": TOML.replace("-0.3", "-0.2").encode()})
    page.click("section[aria-labelledby=import] button")
    assert page.locator("input[name=content]").count() == 1
    found["preview"] = barriers(page, axe, TAGS)
    link = account(closed, f"axe-{language}", "administrator")
    page.goto(f"{closed.address}/sign-in?language={language}")
    for address in (f"{closed.address}/sign-in", link, f"{closed.address}/set-up/gone"):
        look(address)
    page.goto(link)
    page.fill("#password", "korrekt häst batteri")
    page.fill("#again", "korrekt häst batteri")
    page.click("main button")
    look(f"{closed.address}/accounts")
    assert {path: bad for path, bad in found.items() if bad} == {}


def test_from_the_first_visit_to_an_acknowledged_alert(closed: Running, visit: Open) -> None:
    page = visit(account(closed, "Åsa", "coordinator"))
    page.fill("#password", "tre ord utan samband")
    page.fill("#again", "tre ord utan samband")
    page.click("main button")
    expect(page.locator("h1")).to_contain_text("Situational picture")
    page.click("nav >> text=Alerts")
    page.locator("[data-card] h3 a").first.click()
    page.click("main button:has-text('Acknowledge')")
    expect(page.locator("[role=status]")).to_contain_text("acknowledged")
    expect(page.locator(".history")).to_contain_text("Åsa")
    page.click("text=Sign out")
    expect(page.locator("h1")).to_have_text("Sign in")
    page.fill("#name", "Åsa")
    page.fill("#password", "fel")
    page.click("main button")
    expect(page.locator("[role=alert]")).to_be_visible()
    page.fill("#password", "tre ord utan samband")
    page.click("main button")
    expect(page.locator("h1")).to_contain_text("Situational picture")


def test_an_analyst_saves_a_draft_an_administrator_puts_it_in_force_and_one_click_brings_back_what_was(
    closed: Running, visit: Open
) -> None:
    before, file = version_of(closed), closed.folder / "earlywarning.toml"
    text = file.read_text()
    analyst, administrator = signed_in(visit, closed, "Eva", "analyst"), signed_in(visit, closed, "Bo", "administrator")
    analyst.goto(f"{closed.address}/settings/drafts/new?detection.min_count=7")
    expect(analyst.locator("#detection-min_count")).to_have_value("7")
    analyst.focus("#alerts-false_alarms_per_week")
    analyst.keyboard.press("ControlOrMeta+a")
    analyst.keyboard.type("2.5")
    analyst.fill("#reason", "Too many alerts about single events")
    analyst.keyboard.press("Tab")
    analyst.keyboard.press("Enter")
    expect(analyst.locator("[role=status]")).to_have_text("The draft is saved.")
    expect(analyst.locator("#comparison ~ .scroll")).to_contain_text("False alarms a week")
    expect(analyst.locator("main")).to_contain_text("An administrator puts them in force")
    assert version_of(closed) == before
    administrator.click("nav >> text=Settings")
    administrator.click("main a:has-text('Draft 1')")
    expect(administrator.locator("main")).to_contain_text("Too many alerts about single events")
    administrator.click("text=Put the draft in force")
    expect(administrator.locator("[role=status]")).to_contain_text("is in force now")
    assert version_of(closed) != before
    assert "min_count = 7" in file.read_text()
    administrator.click("main button:has-text('Back to version')")
    expect(administrator.locator("[role=status]")).to_contain_text("is in force now")
    assert version_of(closed) == before
    assert "min_count" not in file.read_text()
    assert text.strip().splitlines()[:5] == file.read_text().strip().splitlines()[:5]
    administrator.click("nav >> text=Operations")
    expect(administrator.locator("#audit ~ .scroll")).to_contain_text("earlier settings put in force again")
    expect(administrator.locator("#audit ~ .scroll")).to_contain_text("Too many alerts about single events")
    administrator.click("text=sign-ins, views and exports")
    expect(administrator.locator("#audit ~ .scroll")).to_contain_text("Eva")
    closed.stop()
    closed.start()
    assert version_of(closed) == before


def test_a_slider_is_answered_at_once_and_its_draft_comes_into_force_and_is_taken_back_with_one_click(
    closed: Running, visit: Open
) -> None:
    before = version_of(closed)
    analyst, administrator = signed_in(visit, closed, "Lena", "analyst"), signed_in(visit, closed, "Per", "administrator")
    analyst.click("nav >> text=Lab")
    expect(analyst.locator("#lab-answer")).to_contain_text("Nothing differs from today's settings")
    # From here on by the keyboard alone: the slider, the draft, its reason.
    analyst.focus("#lab-min_count")
    for _ in range(4):
        analyst.keyboard.press("ArrowRight")
    expect(analyst.locator("output[for=lab-min_count]")).to_have_text("7")
    expect(analyst.locator("#lab-answer")).to_contain_text("Smallest count 7")
    expect(analyst.locator("[data-lab-said]")).to_contain_text("Tried:")
    assert "min_count=7" in analyst.url
    assert analyst.evaluate("document.activeElement.id") == "lab-min_count"
    analyst.focus("#lab-answer a.button")
    analyst.keyboard.press("Enter")
    expect(analyst.locator("#detection-min_count")).to_have_value("7")
    analyst.focus("#reason")
    analyst.keyboard.type("The lab finds the same events with fewer alerts")
    analyst.keyboard.press("Tab")
    analyst.keyboard.press("Enter")
    expect(analyst.locator("[role=status]")).to_have_text("The draft is saved.")
    analyst.click("text=Try in the lab")
    expect(analyst.locator("#lab-min_count")).to_have_value("7")
    assert version_of(closed) == before
    administrator.click("nav >> text=Settings")
    administrator.locator("main tr", has_text="The lab finds the same").locator("a").first.click()
    administrator.click("text=Put the draft in force")
    expect(administrator.locator("[role=status]")).to_contain_text("is in force now")
    assert version_of(closed) != before
    administrator.click("nav >> text=Lab")
    expect(administrator.locator("#lab-min_count-hint")).to_contain_text("Today: 7.")
    administrator.click("nav >> text=Settings")
    administrator.click("main button:has-text('Back to version')")
    expect(administrator.locator("[role=status]")).to_contain_text("is in force now")
    assert version_of(closed) == before


def test_a_surge_is_put_in_beside_the_sliders_and_the_lab_works_without_script(service: Running, visit: Open) -> None:
    page = visit(f"{service.address}/lab?language=en")
    page.select_option("#lab-place", "A4")
    page.select_option("#lab-category", "C1")
    page.click("button:text-is('Put in')")
    surge = page.locator("[data-part=surge]")
    expect(surge).to_contain_text("12 events in 14 days")
    page.locator("#lab-total").fill("40")
    expect(surge).to_contain_text("40 events in 14 days")
    page.uncheck("#lab-windows input[value='28']")
    expect(page.locator("#lab-answer")).to_contain_text("The draft changes: Windows in days 1, 3, 7, 14.")
    plain = visit(f"{service.address}/lab?language=en", java_script_enabled=False)
    plain.locator("#lab-budget").fill("3")
    plain.click("main button:has-text('Show')")
    assert "budget=3" in plain.url
    expect(plain.locator("#lab-answer")).to_contain_text("False alarms a week 3")
    expect(plain.locator("output[for=lab-budget]")).to_have_text("3")


def test_with_the_keyboard_alone(service: Running, visit: Open) -> None:
    page = visit(f"{service.address}/alerts?which=all")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("graffiti")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=graffiti**")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("[data-card] h3 a").first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/0999-*")
    summary = page.locator("summary", has_text=re.compile("^Note$"))
    for _ in range(60):
        page.keyboard.press("Tab")
        if summary.evaluate("e => e === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("Written with the keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".history")).to_contain_text("Written with the keyboard")


def test_the_map_is_one_stop_and_arrow_keys_reach_every_area_of_it(service: Running, visit: Open) -> None:
    page = visit(f"{service.address}/picture?day=2024-03-07&kind=incident&all=1", reduced_motion="reduce")
    page.locator(".past").focus()
    page.keyboard.press("Tab")
    names = page.locator("[data-rove=map-focus] a").evaluate_all("links => links.map(a => a.getAttribute('aria-label'))")
    focused = "document.activeElement.getAttribute('aria-label')"
    first = page.evaluate(focused)
    assert first == names[0]
    reached, waiting = {first}, [first]
    while waiting:  # from each area in all directions
        begin = waiting.pop()
        for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
            page.locator(f'[data-rove=map-focus] a[aria-label="{begin}"]').focus()
            page.keyboard.press(key)
            if (there := page.evaluate(focused)) not in reached:
                reached.add(there)
                waiting.append(there)
    assert reached == set(names)
    assert page.locator("#map-focus path").count() == 2  # a ring that is seen on any colour
    expect(page.locator("[data-said=map-focus]")).to_have_text(page.evaluate(focused))
    assert page.evaluate("getComputedStyle(document.querySelector('main a')).transitionDuration") == "0s"
    page.keyboard.press("Tab")
    assert not page.evaluate("!!document.activeElement.closest('[data-rove]')")
    expect(page.locator("#map-focus path")).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_url("**/areas/**")


def test_printed_pages_are_black_on_white_without_menu_or_forms_also_when_dark_is_chosen(service: Running, visit: Open) -> None:
    put_plan(service)
    page = visit(f"{service.address}/picture?language=en", color_scheme="dark")
    seen = {}
    for name, path in (
        ("picture", "/picture?day=2024-03-07&kind=incident"), ("area", "/areas/A0?day=2024-03-07&kind=incident"),
        ("inbox", "/alerts?which=all"), ("alert", f"/alerts/{alert_ids(service)[0]}"), ("operations", "/operations"),
        ("plan", "/plan"), ("briefing", "/briefing?week=2024-W10"),
    ):  # fmt: skip
        page.goto(service.address + path)
        page.emulate_media(media="print", color_scheme="dark")
        ink = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
        assert ink == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"], name
        assert page.locator("nav:visible, form:visible, button:visible, footer:visible").count() == 0, name
        assert page.evaluate("[...document.querySelectorAll('main svg')].every(s => getComputedStyle(s).breakInside === 'avoid')")
        pages = PdfReader(BytesIO(page.pdf(prefer_css_page_size=True))).pages
        seen[name] = "".join(p.extract_text() for p in pages)
        assert {(round(p.mediabox.width), round(p.mediabox.height)) for p in pages} == {(595, 842)}, name
        page.emulate_media(media="screen", color_scheme="dark")
    assert "Sign out" not in "".join(seen.values())
    assert "Area 4" in seen["picture"]  # of the table, which is folded up on the screen
    assert "Level against the comparison" in seen["plan"]


def test_the_inbox_tells_at_once_what_another_has_done_and_a_late_answer_is_refused(service: Running, visit: Open) -> None:
    alert_id = alert_ids(service, "open")[-1]
    inbox = visit(f"{service.address}/alerts?which=all")
    slow = visit(f"{service.address}/alerts/{alert_id}")
    expect(inbox.locator("html")).to_have_attribute("data-live", "yes")
    card = inbox.locator("[data-card]", has=inbox.locator(f"a[href='/alerts/{alert_id}']"))
    before = card.inner_text()
    body = {"answer_id": "live-1", "action": "acknowledge", "actor": "the other"}
    assert service.client.post(f"/v1/alerts/{alert_id}/answers", json=body).status_code == 200
    expect(card).to_contain_text("acknowledged")
    assert "acknowledged" not in before
    slow.click("main button:has-text('Acknowledge')")
    expect(slow.locator("[role=alert]")).to_contain_text("someone has answered since")


def test_the_slider_goes_back_to_what_was_known_then(service: Running, visit: Open) -> None:
    page = visit(f"{service.address}/picture")
    slider = page.locator("input[type=range]")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("main [role=status]")).to_contain_text("as it was known when")
    page.click("main >> text=Latest day")
    expect(page.locator("main [role=status]")).to_have_count(0)


def test_a_choice_is_shown_at_once_and_the_language_switches_in_place(service: Running, visit: Open) -> None:
    page = visit(f"{service.address}/picture")
    page.locator("#window").dispatch_event("pointerdown")
    page.select_option("#window", "28")
    page.wait_for_url("**window=28**")
    page.click("text=Svenska")
    expect(page.locator("h1")).to_contain_text("Lägesbild")
    assert "window=28" in page.url
    page.click("nav >> text=Varningar")
    expect(page.locator("h1")).to_have_text("Varningar")


def test_everything_works_without_script(service: Running, visit: Open) -> None:
    page = visit(f"{service.address}/picture", java_script_enabled=False)
    page.select_option("#window", "1")
    page.click("main button")
    assert "window=1" in page.url
    page.click("text=A day back")
    assert "day=" in page.url
    page.goto(f"{service.address}/alerts/{alert_ids(service)[0]}")
    page.click("summary:has-text('Note')")
    page.fill("#note-note", "Without script")
    page.click("details:has(#note-note) button")
    assert "Without script" in page.content()


def test_the_first_page_is_light_and_soon_there_on_a_slow_line(service: Running, visit: Open) -> None:
    page = visit("about:blank")
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    seconds = {"latency": 300, "downloadThroughput": 200_000, "uploadThroughput": 100_000}
    line.send("Network.emulateNetworkConditions", {"offline": False, **seconds})
    line.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    sizes: list[float] = []
    line.on("Network.loadingFinished", lambda e: sizes.append(e["encodedDataLength"]))
    page.add_init_script(
        "window.lcp = 0; new PerformanceObserver(l => { for (const e of l.getEntries()) window.lcp = e.startTime; })"
        ".observe({type: 'largest-contentful-paint', buffered: true});"
    )
    page.goto(f"{service.address}/picture", wait_until="networkidle")
    assert 0 < sum(sizes) < 100_000
    assert 0 < page.evaluate("window.lcp") < 4_000
