"""What every page has: its frame, language, policy, and the files that come with it."""

import gzip
from datetime import date, datetime
from hashlib import sha256
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import jinja2
from babel.dates import format_date, format_datetime
from litestar import Request, Response, get
from litestar.datastructures import Cookie, State
from litestar.params import FromPath
from markupsafe import Markup

from earlywarning.locale import LANGUAGES, Language
from earlywarning.locale.catalogue import catalogue, day_words, number_words
from earlywarning.locale.pages import page_counted, page_text, page_texts
from earlywarning.locale.refused import rule_name
from earlywarning.runtimes.front import Front
from earlywarning.web.access import VISITOR, Visitor

LANGUAGE = "ew_language"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_YEAR = 365 * 86_400
_KEPT = "/%?&=#;:,+!*()@~$[]"  # of an address, beside letters and digits
_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_LINKED = {"css": "page.css", "script": "page.js", "icon": "icon.svg"}
_LOCALE = {"sv": "sv_SE", "en": "en_GB"}

Asking = Request[Visitor, Any, State]


class Static(NamedTuple):
    """A file that comes with the pages: its bytes plain and packed, its type, and what its address changes with."""

    plain: bytes
    packed: bytes
    kind: str
    version: str


def _files() -> dict[str, Static]:
    found = {}
    for file in resources.files("earlywarning.web").joinpath("static").iterdir():
        kind = _KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            data = file.read_bytes()
            found[file.name] = Static(data, gzip.compress(data, mtime=0), kind, sha256(data).hexdigest()[:12])
    return found


STATIC = _files()


@get("/static/{name:str}", include_in_schema=False, sync_to_thread=False)
def static_file(request: Asking, name: FromPath[str]) -> Response[bytes]:
    """Style, script and icon: their addresses change with their content, so that browsers keep them."""
    file = STATIC.get(name)
    if file is None:
        return Response(b"", status_code=404)
    packs = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"content-type": file.kind, "cache-control": f"public, max-age={_YEAR}, immutable", "vary": "accept-encoding"}
    return Response(file.packed if packs else file.plain, headers={**headers, **({"content-encoding": "gzip"} if packs else {})})


_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("earlywarning.web", "templates/pages"), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True, auto_reload=False,  # no page of another version under a service that runs
)  # fmt: skip


def language_of(request: Asking) -> Language:
    """As asked for in the address, as chosen before, or the municipality's."""
    service: Front = request.app.state.service
    for wanted in (request.query_params.get("language"), request.cookies.get(LANGUAGE)):
        if wanted in LANGUAGES:
            return wanted
    return service.settings.municipality.language


def root_of(request: Asking) -> str:
    """What stands before every path: empty, or the code of a municipality among many."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def cookie(request: Asking, key: str, value: str, seconds: int | None = None) -> Cookie:
    """A cookie that no script reads and no other site's form sends."""
    service: Front = request.app.state.service
    secure = service.settings.service.public_url.startswith("https:")
    return Cookie(key=key, value=value, max_age=seconds, path=root_of(request) or "/", httponly=True, samesite="lax", secure=secure)


class Words:
    """A page's texts and how it writes days and numbers."""

    def __init__(self, language: Language, zone: str) -> None:
        self.language, self._zone = language, ZoneInfo(zone)

    def __call__(self, section: str, key: str, **values: object) -> str:
        return page_text(self.language, section, key, **values)

    def counted(self, section: str, key: str, n: int, **values: object) -> str:
        return page_counted(self.language, section, key, n, **values)

    def number(self, value: float, digits: int = 1) -> str:
        return number_words(value, self.language, digits)

    def day(self, day: date) -> str:
        """With weekday and year."""
        return day_words(day, self.language)

    def short_day(self, day: date) -> str:
        """Such as 3 mars 2024."""
        return str(format_date(day, "d MMM y", locale=_LOCALE[self.language]))

    def reason(self, key: str) -> str:
        """A reason, outcome or rule in words; an unknown one is its own name."""
        known = catalogue(self.language)
        return known["reason"].get(key) or known["outcome"].get(key) or self.rule(key)

    def action(self, key: str) -> str:
        """What the audit log says that somebody did."""
        return page_texts(self.language)["audit"].get(key) or catalogue(self.language)["action"].get(key, key)

    def done(self, key: str) -> str:
        """The same of an alert, as something that has happened."""
        return page_texts(self.language)["done_by"].get(key) or self.action(key)

    def rule(self, key: str) -> str:
        """What a rule is called by which an event was refused."""
        return rule_name(key, self.language)

    def month(self, day: date) -> str:
        """Such as mars, with the year in January."""
        return str(format_date(day, "MMM y" if day.month == 1 else "MMM", locale=_LOCALE[self.language]))

    def moment(self, at: datetime) -> str:
        """To the minute, in the municipality's time."""
        return str(format_datetime(at.astimezone(self._zone), "d MMM y HH:mm", locale=_LOCALE[self.language]))


def linked(root: str) -> dict[str, str]:
    """Addresses of the files that every page links."""
    return {name: f"{root}/static/{file}?v={STATIC[file].version}" for name, file in _LINKED.items()}


def page_of(template: str, language: Language, **values: Any) -> str:
    """A page that belongs to no municipality."""
    return _environment.get_template(template).render(t=Words(language, "Europe/Stockholm"), language=language, **values)


def part(request: Asking, template: str, **values: Any) -> Markup:
    """A part of a page, the same for every visitor who sees the same."""
    return Markup(_environment.get_template(template).render(**_around(request), **values))  # noqa: S704  # a template escapes


def _around(request: Asking) -> dict[str, Any]:
    """What every template works with: texts, links, language."""
    service: Front = request.app.state.service
    language, root = language_of(request), root_of(request)

    def link(path: str, **query: object) -> str:
        given = [(k, str(v)) for k, v in query.items() if v not in (None, "")]
        return f"{root}{path}" + (f"?{urlencode(given)}" if given else "")

    words = Words(language, service.settings.municipality.timezone)
    return {"t": words, "link": link, "language": language, "municipality": service.register.names[0]}


def render(
    request: Asking, template: str, *, status: int = 200, cookies: list[Cookie] | None = None, **values: Any
) -> Response[bytes]:
    """A page as a response."""
    service: Front = request.app.state.service
    visitor = request.user
    around = _around(request)
    language, root = around["language"], root_of(request)
    other: Language = "en" if language == "sv" else "sv"
    kept = [(k, v) for k, v in request.query_params.multi_items() if k != "language"]
    page = _environment.get_template(template).render(
        **around, other=other, visitor=visitor, mode=service.settings.access.mode,
        provider=bool(service.settings.access.oidc_issuer),
        other_address=f"{root}{request.scope['path']}?{urlencode([*kept, ('language', other)])}",
        **linked(root),
        csrf=Markup('<input type="hidden" name="csrf" value="{}">').format(visitor.csrf),
        **{"here": "", **values},
    )  # fmt: skip
    response = Response(
        page.encode(), status_code=status,
        headers={"content-type": "text/html; charset=utf-8", "content-security-policy": POLICY, "content-language": language},
    )  # fmt: skip
    if visitor.fresh and visitor.secret:
        response.set_cookie(cookie(request, VISITOR, visitor.secret))
    if request.query_params.get("language") in LANGUAGES:
        response.set_cookie(cookie(request, LANGUAGE, language, _YEAR))
    for one in cookies or []:
        response.set_cookie(one)
    return response


def go(request: Asking, path: str, cookies: list[Cookie] | None = None) -> Response[bytes]:
    """Send the browser on to a path of this service, after a form."""
    target = quote(own_path(path), safe=_KEPT)  # a header holds no letters beyond ASCII
    response = Response(b"", status_code=303, headers={"location": f"{root_of(request)}{target}"})
    for one in cookies or []:
        response.set_cookie(one)
    return response


def own_path(path: str) -> str:
    """A path of this service and nothing else: what came in an address may not lead elsewhere."""
    parts = urlsplit(path)
    odd = not path.startswith("/") or path.startswith(("//", "/\\")) or parts.netloc or parts.scheme or not path.isprintable()
    return "/" if odd else path


async def form_of(request: Asking) -> dict[str, str]:
    """The fields of a form, the first of each name."""
    form = await request.form()
    return {key: value for key, value in form.items() if isinstance(value, str)}
