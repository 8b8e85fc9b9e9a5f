"""Paths under hard conditions in a real browser: keyboard alone, a telephone, a slow or lost line, two people at once, colours."""

import itertools
import re
from urllib.parse import parse_qsl

import pytest
from coloraide import Color
from coloraide.filters.cvd import Deutan, Protan, Tritan
from playwright.sync_api import Page, expect

from tests.web.browser import Open, barriers
from tests.web.conftest import PASSWORD, Running, account, alert_ids, body, signed_in

PAGES = (
    "/picture?day=2024-03-07&window=1&kind=incident&all=1", "/areas/A0?day=2024-03-07&kind=incident", "/alerts?which=all",
    "/alerts/{alert}", "/operations?log=all", "/settings", "/settings/drafts/new?detection.min_count=0", "/plan", "/briefing",
    "/dead-letters", "/accessibility",
)  # fmt: skip
TELEPHONE = {"viewport": {"width": 400, "height": 800}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def slow(page: Page) -> None:
    """A line of 400 kbit/s with 400 ms to the other end."""
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000},
    )


def tab_to(page: Page, selector: str) -> None:
    """Press the tab key until the element has the focus; each stop on the way must be seen, and marked."""
    wanted = page.locator(selector).first
    for _ in range(80):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "(e => { const box = e.getBoundingClientRect(), style = getComputedStyle(e); return e === document.body || "
            "{ inside: box.bottom > 0 && box.top < innerHeight && box.width > 0, ring: style.outlineStyle !== 'none' }; })"
            "(document.activeElement)"
        )
        assert seen is True or seen == {"inside": True, "ring": True}, page.evaluate(
            "document.activeElement.outerHTML.slice(0, 200)"
        )
        if wanted.evaluate("e => e === document.activeElement"):
            return
    pytest.fail(f"{selector} is not reached with the tab key")


def test_from_the_one_time_link_to_an_acknowledged_alert_with_the_keyboard_alone(closed: Running, visit: Open) -> None:
    page = visit(account(closed, "Inga", "coordinator"))
    keys = page.keyboard
    for field in ("#password", "#again"):
        tab_to(page, field)
        keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.locator("h1")).to_contain_text("Situational picture")
    tab_to(page, ".who button")
    keys.press("Enter")
    expect(page.locator("h1")).to_have_text("Sign in")
    tab_to(page, "#name")
    keys.type("Inga")
    tab_to(page, "#password")
    keys.type(PASSWORD)
    tab_to(page, "main button")
    keys.press("Space")
    expect(page.locator("h1")).to_contain_text("Situational picture")
    tab_to(page, "nav a:has-text('Alerts')")
    keys.press("Enter")
    expect(page.locator("h1")).to_have_text("Alerts")
    keys.press("j")
    headline = page.evaluate("document.activeElement.textContent")
    keys.press("Enter")
    page.wait_for_url("**/alerts/0999-*")
    tab_to(page, "main button:has-text('Acknowledge')")
    keys.press("Enter")
    expect(page.locator("main [role=status]")).to_contain_text("acknowledged")
    expect(page.locator(".history")).to_contain_text("acknowledged (Inga)")
    tab_to(page, "nav a:has-text('Alerts')")
    keys.press("Enter")
    expect(page.locator("[data-card]", has_text=headline)).to_have_count(0)  # it no longer waits


def test_the_chosen_language_is_kept_on_every_page_and_told_to_screen_readers(service: Running, visit: Open) -> None:
    page = visit(f"{service.address}/alerts?which=all")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.click("text=Svenska")
    expect(page.locator("html")).to_have_attribute("lang", "sv")
    assert "which=all" in page.url
    links = page.locator("nav a").evaluate_all("links => links.map(a => a.href)")
    assert len(links) >= 6
    for link in [*links, f"{service.address}/alerts/{alert_ids(service)[0]}"]:
        answer = page.goto(link)
        assert answer is not None
        assert answer.headers["content-language"] == "sv"
        assert page.locator("html").get_attribute("lang") == "sv"
        assert page.locator("nav a").nth(1).inner_text() == "Varningar"
        assert page.locator(".who a").get_attribute("lang") == "en"  # the way back is written in the other language
    page.goto(f"{service.address}/nothing")
    expect(page.locator("html")).to_have_attribute("lang", "sv")
    again = page.context.new_page()
    again.goto(f"{service.address}/picture")
    expect(again.locator("h1")).to_contain_text("Lägesbild")
    again.click("text=English")
    expect(again.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("language", ["sv", "en"])
def test_on_a_telephone_nothing_runs_beyond_the_edge_and_fingers_hit_what_they_aim_at(
    service: Running, visit: Open, axe: str, language: str
) -> None:
    service.send([body(1, area="A77")])
    page = visit(f"{service.address}/picture?language={language}", **TELEPHONE)
    bad = {}
    for path in PAGES:
        page.goto(service.address + path.format(alert=alert_ids(service)[0]))
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        page.evaluate("scrollTo(1000, 0)")
        small = page.locator("button, select, input:not([type=hidden]), summary, nav a").evaluate_all(
            "all => all.filter(e => e.checkVisibility()).map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])"
            ".filter(([, b]) => b.width > 0 && (b.height < 24 || b.width < 24) && b.height > 1).map(([e]) => e)"
        )
        small = [e for e in small if "radio" not in e and "checkbox" not in e]  # their labels are pressed with them
        wide = page.evaluate("[scrollX, document.documentElement.scrollWidth]")
        bad[path] = [*barriers(page, axe, ["target-size"]), *small, *([f"{wide} wide"] if wide != [0, 400] else [])]
    assert [(path, found) for path, found in bad.items() if found] == []
    for i in range(page.locator("nav[aria-label] li").count()):
        link = page.locator("header nav li a").nth(i)
        if link.count():
            link.tap()
            expect(page.locator("header nav li a").nth(i)).to_have_attribute("aria-current", "page")


def test_an_impatient_second_press_on_a_slow_line_counts_once(service: Running, visit: Open) -> None:
    alert_id = alert_ids(service)[0]
    page = visit(f"{service.address}/alerts?which=all", java_script_enabled=False)
    slow(page)
    posts = []
    page.on("request", lambda r: posts.append(r) if r.method == "POST" else None)
    page.locator("[data-card]", has=page.locator(f"a[href='/alerts/{alert_id}']")).locator("button").dblclick()
    expect(page.locator("main [role=status]")).to_contain_text("acknowledged")
    assert posts
    # The same form once more, as a browser sends it when the answer got lost on the way.
    form = dict(parse_qsl(posts[0].post_data or ""))
    again = page.context.request.post(posts[0].url, form=form)
    assert again.ok
    assert again.url.endswith("saved=1")
    page.goto(f"{service.address}/alerts/{alert_id}")
    expect(page.locator(".history li", has_text="acknowledged")).to_have_count(1)
    expect(page.locator(".history")).not_to_contain_text("refused")
    fast = visit(f"{service.address}/alerts/{alert_id}")
    slow(fast)
    sent: list[str] = []
    fast.on("request", lambda r: sent.append(r.url) if r.method == "POST" else None)
    fast.click("summary:text-is('Note')")
    fast.fill("#note-note", "Pressed twice")
    fast.locator("details:has(#note-note) button").dblclick()
    expect(fast.locator(".history li", has_text="Pressed twice")).to_have_count(1)
    assert len(sent) == 1


def test_a_lost_line_is_said_and_caught_up_with_when_it_is_back(service: Running, visit: Open) -> None:
    alert_id = alert_ids(service, "open")[-1]
    page = visit(f"{service.address}/alerts?which=all")
    expect(page.locator("html")).to_have_attribute("data-live", "yes")
    card = page.locator("[data-card]", has=page.locator(f"a[href='/alerts/{alert_id}']"))
    slow(page)
    page.context.set_offline(True)
    expect(page.locator("#live")).to_contain_text("No contact with the service")
    said = {"answer_id": "while-lost", "action": "assess", "assessment": "confirmed", "reason": "new-problem", "actor": "the other"}
    assert service.client.post(f"/v1/alerts/{alert_id}/answers", json=said).status_code == 200
    assert "assessed" not in card.inner_text()
    page.context.set_offline(False)
    expect(card).to_contain_text("assessed", timeout=30_000)
    expect(page.locator("#live")).to_be_empty()
    expect(page.locator("html")).to_have_attribute("data-live", "yes")


def test_of_two_at_once_the_second_is_told_who_was_there_and_what_has_changed(closed: Running, visit: Open) -> None:
    first, second = signed_in(visit, closed, "Alva"), signed_in(visit, closed, "Bertil")
    first.goto(f"{closed.address}/alerts")
    address = first.locator("[data-card] h3 a").last.get_attribute("href") or ""
    watching = second.context.new_page()
    watching.goto(f"{closed.address}/alerts?which=all")
    expect(watching.locator("html")).to_have_attribute("data-live", "yes")
    for page in (first, second):
        page.goto(closed.address + address)
        if not page.locator("#choice").is_visible():
            page.click("summary:text-is('Assess')")
    first.select_option("#choice", "confirmed:new-problem")
    first.fill("#assess-note", "Seen on the spot")
    first.click("details:has(#choice) button")
    expect(first.locator("main [role=status]")).to_contain_text("assessed")
    expect(watching.locator("[data-card]", has=watching.locator(f"a[href='{address}']"))).to_contain_text("assessed")
    second.select_option("#choice", "false-alarm:chance")
    second.fill("#assess-note", "Looks usual to me")
    second.click("details:has(#choice) button")
    told = second.locator("main [role=alert]")
    expect(told).to_contain_text("someone has answered since")
    expect(told).to_contain_text(re.compile(r"assessed \(Alva.*Seen on the spot"))
    expect(second.locator("#work ~ dl")).to_contain_text("Assessed as")
    assert "Looks usual to me" in second.content()  # what was written is not lost
    expect(second.locator(".history")).not_to_contain_text("Looks usual to me")


def test_nothing_moves_for_those_who_ask_for_reduced_motion(service: Running, visit: Open) -> None:
    moving = (
        "[...document.querySelectorAll('*')].filter(e => { const s = getComputedStyle(e); "
        "return s.animationName !== 'none' || s.scrollBehavior !== 'auto' || "
        "s.transitionDuration.split(', ').some(d => d !== '0s'); }).length"
    )
    page = visit(f"{service.address}/alerts?which=all")
    assert page.evaluate(moving) > 0  # else the question below cannot fail
    page.emulate_media(reduced_motion="reduce")
    for path in PAGES:
        page.goto(service.address + path.format(alert=alert_ids(service)[0]))
        assert page.evaluate(moving) == 0, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_steps_of_the_map_keep_apart_for_every_kind_of_colour_blindness(service: Running, visit: Open, scheme: str) -> None:
    """CIEDE2000 between the fills as drawn, at full severity: Machado et al. 2009, IEEE TVCG 15:1291; tritanopia also as in
    Brettel et al. 1997, JOSA A 14:2647, since the former is less exact there. A difference of 10 is seen at a glance."""
    page = visit(f"{service.address}/picture?day=2024-03-07&kind=incident&all=1", color_scheme=scheme)
    steps = ["f3", "f2", "f1", "n0", "m1", "m2", "m3"]
    fill = "step => getComputedStyle(document.querySelector(`.legend rect.${step}`)).fill"
    drawn = {step: Color(page.evaluate(fill, step)) for step in steps}
    ways = [(None, ""), (Protan, "machado"), (Deutan, "machado"), (Tritan, "machado"), (Tritan, "brettel")]
    for blindness, method in ways:
        seen = {s: c if blindness is None else c.clone().filter(blindness.NAME, 1, method=method) for s, c in drawn.items()}
        apart = {(a, b): seen[a].delta_e(seen[b], method="2000") for a, b in itertools.combinations(steps, 2)}
        assert min(apart.values()) > 10, (blindness, apart)
        assert min(d for (a, b), d in apart.items() if a[0] == "f" and b[0] == "m") > 20, (blindness, apart)  # fewer from more
    assert page.locator("svg.map .sign").count() or page.locator(".legend .sign").count() == 4  # and shape says it besides
