"""What a browser is shown at the root of a desk with several municipalities: their names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from babel import negotiate_locale
from litestar import Request

from earlywarning.locale import LANGUAGES, Language
from earlywarning.locale.pages import page_text
from earlywarning.web.pages.frame import POLICY, STATIC, linked, page_of

_ALPHABET = str.maketrans("åäö", "{|}")  # after z, in this order


class Sent(NamedTuple):
    """An answer: its status, its headers, and its bytes."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def front_door(request: Request[Any, Any, Any], names: Mapping[str, str]) -> Sent:
    """The municipalities in the order of their names. names: by code. An address that leads nowhere says so (404)."""
    language = _language(request)
    problem = "" if request.scope["path"] == "/" else page_text(language, "door", "not_found")
    ordered = sorted(names.items(), key=lambda item: item[1].casefold().translate(_ALPHABET))
    page = page_of(
        "front_door.html", language, names=ordered, problem=problem, other="en" if language == "sv" else "sv", **linked("")
    )  # fmt: skip
    headers = [
        (b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", POLICY.encode()),
        (b"content-language", language.encode()), (b"vary", b"accept, accept-language"),
    ]  # fmt: skip
    return Sent(404 if problem else 200, headers, page.encode())


def static_at_the_door(path: str) -> Sent | None:
    """Style and icon of that page."""
    file = STATIC.get(path.removeprefix("/static/")) if path.startswith("/static/") else None
    return None if file is None else Sent(200, [(b"content-type", file.kind.encode())], file.plain)


def _language(request: Request[Any, Any, Any]) -> Language:
    """As asked for in the address, else what the browser prefers of Swedish and English, else Swedish."""
    said = request.headers.get("accept-language", "")
    wanted = [
        request.query_params.get("language", ""),
        *(part.partition(";")[0].strip().replace("-", "_") for part in said.split(",")),
    ]
    found = negotiate_locale([w for w in wanted if w], LANGUAGES, sep="_")
    return found if found in LANGUAGES else "sv"
