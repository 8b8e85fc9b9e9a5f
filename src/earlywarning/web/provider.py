"""Sign-in by the organisation's own provider: OpenID Connect's code flow with state, nonce and PKCE.

The provider says who somebody is; what that person may do is said by the account of that name here.
"""

import hmac
import os
import secrets
import time
import warnings
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from earlywarning.settings import Settings
from earlywarning.settings_access import LOOPBACK

with warnings.catch_warnings(record=True):  # authlib tells of its own plans at each import; no operator can act on that
    from authlib.integrations.base_client.errors import OAuthError
    from authlib.integrations.httpx_client import AsyncOAuth2Client

SECRET = "EARLYWARNING_OIDC_SECRET"  # noqa: S105  # the environment variable's name
_SIGNED_BY = ["RS256", "PS256", "ES256", "EdDSA"]  # never by the client's secret, never "none"
_STANDS = 3600.0  # seconds for which the provider's document and keys stand
_PATIENCE, _SKEW = 10.0, 60  # seconds: to wait for the provider, and that clocks may differ


class ProviderError(RuntimeError):
    """A sign-in that did not come about, or a provider that cannot be reached; for the log, without anything secret."""


class Begun(msgspec.Struct, frozen=True):
    """What the browser keeps, in a cookie that no script reads, until it comes back."""

    state: str
    nonce: str
    verifier: str
    target: str


class Provider:
    """The provider that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._access, self._folder = settings.access, settings.folder
        self._document: dict[str, Any] = {}
        self._keys: Any = {}
        self._read_at = -_STANDS

    def _secret(self) -> str:
        file = self._access.oidc_secret_file
        try:
            return os.environ.get(SECRET, "") or ((self._folder / file).read_text(encoding="utf-8").strip() if file else "")
        except OSError as error:
            raise ProviderError(f"access.oidc_secret_file: {file} cannot be read ({error.strerror})") from error

    async def begin(self, back: str, target: str) -> tuple[str, Begun]:
        """The provider's address to go to, and what is kept meanwhile. Raises ProviderError."""
        document = await self._known()
        begun = Begun(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), target)
        async with self._client(back) as client:
            address, _ = client.create_authorization_url(
                document["authorization_endpoint"], state=begun.state, nonce=begun.nonce, code_verifier=begun.verifier
            )
        return str(address), begun

    async def finish(self, back: str, state: str, code: str, begun: Begun) -> str:
        """The name of who has signed in there. Raises ProviderError."""
        if not code or not hmac.compare_digest(state.encode(), begun.state.encode()):
            raise ProviderError("the answer does not belong to a sign-in that was begun here")
        document = await self._known()
        try:
            async with self._client(back) as client:
                token = await client.fetch_token(document["token_endpoint"], code=code, code_verifier=begun.verifier)
            decoded = jwt.decode(token["id_token"], KeySet.import_key_set(self._keys), algorithms=_SIGNED_BY)
            jwt.JWTClaimsRegistry(
                leeway=_SKEW,
                iss={"essential": True, "value": self._access.oidc_issuer},
                aud={"essential": True, "value": self._access.oidc_client_id},
                exp={"essential": True},
                nonce={"essential": True, "value": begun.nonce},
            ).validate(decoded.claims)
        except (OAuthError, JoseError, httpx.HTTPError, KeyError, ValueError) as error:
            raise ProviderError(f"the provider's answer was refused ({type(error).__name__})") from error
        name = decoded.claims.get(self._access.oidc_claim)
        if not isinstance(name, str) or not name:
            raise ProviderError(f"the provider says nothing of {self._access.oidc_claim}; name another in access.oidc_claim")
        return name

    def _client(self, back: str) -> Any:
        return AsyncOAuth2Client(
            self._access.oidc_client_id, self._secret() or None, scope="openid profile email", redirect_uri=back,
            code_challenge_method="S256", timeout=_PATIENCE,
        )  # fmt: skip

    async def _known(self) -> dict[str, Any]:
        """The provider's document; its keys are read with it."""
        if time.monotonic() - self._read_at < _STANDS:
            return self._document
        issuer = self._access.oidc_issuer
        try:
            async with httpx.AsyncClient(timeout=_PATIENCE) as client:
                document = (await client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")).raise_for_status().json()
                if document.get("issuer") != issuer:
                    raise ProviderError(f"{issuer} calls itself another issuer; write access.oidc_issuer as it does")
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    parts = urlsplit(str(document.get(name, "")))
                    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
                        raise ProviderError(f"the provider's {name} is not https")
                self._keys = (await client.get(document["jwks_uri"])).raise_for_status().json()
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise ProviderError(f"the provider {issuer} does not answer ({type(error).__name__})") from error
        self._document, self._read_at = document, time.monotonic()
        return self._document
