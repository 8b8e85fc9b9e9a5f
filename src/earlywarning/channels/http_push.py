"""A POST to a receiver: which answers are for good, which for now, and what is said of them."""

import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isnan

import httpx

from earlywarning import __version__
from earlywarning.channels.refusals import NotNow, Undeliverable
from earlywarning.channels.secrets import Stars, tls_of

_TRANSIENT = (408, 425, 429)  # of 4xx: the receiver says itself that it may be otherwise later
_LONGEST_WAIT = 86_400.0  # seconds that a receiver may ask for
_EXCERPT = 200  # characters of an answer that are told
_MOST_READ = 4_096


class HttpPush:
    """Posts to one address. auth: of httpx. secrets: what must never be told, whatever the receiver answers."""

    def __init__(
        self, url: str, *, timeout: float, ca_file: str = "", auth: httpx.Auth | None = None, secrets: tuple[str, ...] = ()
    ) -> None:
        """Raises NotNow when the certificates cannot be read."""
        self._url, self._timeout = url, timeout
        self._host = httpx.URL(url).netloc.decode()
        self._stars = Stars(secrets)
        # Reading all authorities takes a tenth of a second, and plain http asks for none.
        verify = tls_of(ca_file) if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.Client(
            timeout=timeout, verify=verify, auth=auth, follow_redirects=False, trust_env=True,
            headers={"user-agent": f"earlywarning/{__version__}"},
        )  # fmt: skip

    def post(self, body: bytes, headers: dict[str, str]) -> None:
        """Post it. Raises Undeliverable, NotNow."""
        deadline = time.monotonic() + self._timeout
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                status, asked = response.status_code, response.headers.get("retry-after", "")
                said = b"" if response.is_success else self._excerpt(response, deadline)
        except httpx.TimeoutException as error:
            what = "no connection" if isinstance(error, httpx.ConnectTimeout) else "no answer"
            raise NotNow(f"{self._host}: {what} within {self._timeout:g} s") from None
        except httpx.ConnectError as error:
            raise NotNow(self._stars.out(f"{self._host}: no connection ({error})")) from None
        except (httpx.TransportError, httpx.StreamError) as error:
            raise NotNow(f"{self._host}: the connection broke ({type(error).__name__})") from None
        if 200 <= status < 300:
            return
        words = f"{self._host} answered {status} {_phrase(status)}".strip()
        words = self._stars.out(f"{words}: {_plain(said)}" if said.strip() else words)
        if status in _TRANSIENT or status >= 500:
            raise NotNow(words, after=_wait(asked))
        if 300 <= status < 400:
            words += "; write the address that it moved to"
        raise Undeliverable(words)

    def _excerpt(self, response: httpx.Response, deadline: float) -> bytes:
        """The beginning of an answer; a receiver that never ends it is left."""
        said = b""
        try:
            for part in response.iter_bytes():
                said += part
                if len(said) >= _MOST_READ or time.monotonic() > deadline:
                    break
        except (httpx.TransportError, httpx.StreamError, httpx.DecodingError):
            pass  # the status is known, and that decides
        return said

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


def auth_of(username: str, secret: str) -> httpx.Auth | None:
    """Basic authentication with a user, a bearer token without one, none without a secret."""
    if not secret:
        return None
    return httpx.BasicAuth(username, secret) if username else _Bearer(secret)


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request):  # type: ignore[no-untyped-def]  # httpx's generator type
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _plain(said: bytes) -> str:
    text = "".join(c if c.isprintable() else " " for c in said.decode(errors="replace"))
    return " ".join(text.split())[:_EXCERPT]


def _wait(asked: str) -> float:
    """Seconds of a Retry-After, which is a number or a date; 0 without."""
    if not asked:
        return 0.0
    try:
        seconds = float(asked)
    except ValueError:
        try:
            when = parsedate_to_datetime(asked)
        except ValueError:
            return 0.0
        seconds = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return 0.0 if isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT)
