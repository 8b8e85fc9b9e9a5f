"""All pages together, the page about accessibility, and the page that says what did not work."""

import traceback
from typing import Any
from urllib.parse import quote

import structlog
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from earlywarning.locale.pages import page_text
from earlywarning.web.access import Visitor
from earlywarning.web.pages.area import area_page
from earlywarning.web.pages.briefing import briefing_page
from earlywarning.web.pages.by_provider import BY_PROVIDER
from earlywarning.web.pages.case import answer_case, case_page
from earlywarning.web.pages.entrance import ENTRANCE
from earlywarning.web.pages.frame import Asking, go, language_of, render, static_file
from earlywarning.web.pages.inbox import inbox_page, live
from earlywarning.web.pages.lab import LAB_PAGES
from earlywarning.web.pages.lab_known import KNOWN_PAGES
from earlywarning.web.pages.letters import letters_page, try_again
from earlywarning.web.pages.operations import operations_page
from earlywarning.web.pages.picture import picture_page
from earlywarning.web.pages.plan import plan_page
from earlywarning.web.pages.plan_import import import_plan
from earlywarning.web.pages.settings import SETTINGS_PAGES

log = structlog.get_logger(__name__)
_WORDS = {403: "forbidden", 404: "not_found", 405: "not_found", 408: "too_slow", 413: "too_large", 503: "unavailable"}
_DATA = ("/v1/", "/metrics", "/healthz", "/readyz", "/openapi.json", "/static/", "/schema", "/live")


@get("/accessibility", include_in_schema=False, sync_to_thread=False)
def accessibility_page(request: Asking) -> Response[bytes]:
    """What is done for accessibility, and what is known to fall short."""
    return render(request, "accessibility.html")


def wants_page(request: Request[Any, Any, State]) -> bool:
    """Whether a person's browser asks, rather than a program."""
    return "text/html" in request.headers.get("accept", "") and not str(request.scope["path"]).startswith(_DATA)


def problem_page(request: Asking, status: int, error: Exception) -> Response[bytes]:
    """What did not work, in words; who is not signed in is asked to."""
    if "user" not in request.scope or request.scope["user"] is None:
        request.scope["user"] = Visitor()
    path = str(request.scope["path"])
    if status == 401:
        asked = request.scope.get("query_string", b"").decode("ascii", "replace")
        target = path + (f"?{asked}" if asked else "")
        return go(request, f"/sign-in?next={quote(target)}")
    told = _WORDS.get(status, "broken" if status >= 500 else "bad_request")
    words = page_text(language_of(request), "frame", told)
    extra = error.extra if isinstance(error, HTTPException) and isinstance(error.extra, dict) else {}
    if status == 403 and "why" in extra:  # said by the guard, in access.py
        role = page_text(language_of(request), "role", str(extra.get("role", "reader")))
        words = page_text(language_of(request), "frame", f"forbidden_{extra['why']}", role=role)
    if status >= 500 and status != 503:
        # Without the values of variables, which may be secrets.
        log.error("a page failed", path=str(request.scope.get("route", "")), trace="".join(traceback.format_exception(error)[-4:]))
    return render(request, "problem.html", status=status, words=words)


PAGES = (
    static_file, accessibility_page, picture_page, area_page, inbox_page, live, case_page, answer_case, operations_page,
    plan_page, import_plan, briefing_page, letters_page, try_again,
    *ENTRANCE, *BY_PROVIDER, *SETTINGS_PAGES, *LAB_PAGES, *KNOWN_PAGES,
)  # fmt: skip
