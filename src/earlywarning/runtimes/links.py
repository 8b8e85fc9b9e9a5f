"""Signed links by which a recipient of a message answers: what they allow, until when, and that nobody has changed them."""

import os
import secrets
from pathlib import Path
from typing import NamedTuple

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from earlywarning.settings import Settings
from earlywarning.store import Store

KEY = "EARLYWARNING_LINK_KEY"  # the environment variable
_STATE = "link-key"
_SALT = "answer"


class LinkError(ValueError):
    """A link that is no longer, or never was, valid. expired: it once was."""

    def __init__(self, *, expired: bool) -> None:
        self.expired = expired
        super().__init__("the link has expired" if expired else "the link is not valid")


class Link(NamedTuple):
    """What a link is for: one alert and one recipient, as whom it answers."""

    alert_id: str
    recipient: str


class Links:
    """Makes and reads links. days: how long they are valid."""

    def __init__(self, key: str, public_url: str, days: int) -> None:
        self._signer = URLSafeTimedSerializer(key, salt=_SALT)
        self.public_url, self.days = public_url.rstrip("/"), days

    def make(self, alert_id: str, recipient: str) -> dict[str, str]:
        """The links of a message by what they are for; none where the service has no public address."""
        if not self.public_url:
            return {}
        token = self._signer.dumps([alert_id, recipient])
        return {"answer": f"{self.public_url}/answer/{token}", "open": f"{self.public_url}/alerts/{alert_id}"}

    def read(self, token: str) -> Link:
        """What a token is for. Raises LinkError."""
        try:
            alert_id, recipient = self._signer.loads(token, max_age=self.days * 86_400)
        except SignatureExpired as error:
            raise LinkError(expired=True) from error
        except (BadSignature, ValueError, TypeError) as error:
            raise LinkError(expired=False) from error
        return Link(str(alert_id), str(recipient))


def links_of(settings: Settings, store: Store) -> Links:
    """The links of a municipality. Raises OSError when the key's file cannot be read; StoreError."""
    named = settings.answers.link_key_file
    key = link_key(store, settings.folder / named if named else None)
    return Links(f"{settings.municipality.code}:{key}", settings.service.public_url, settings.answers.link_days)


def link_key(store: Store, file: Path | None) -> str:
    """The key that signs links: of the environment, of a file, or one that the store has kept since it was first needed.

    Raises OSError when the file cannot be read; StoreError.
    """
    if given := os.environ.get(KEY, "") or (file.read_text(encoding="utf-8").strip() if file else ""):
        return given
    if (kept := store.source_state(_STATE)) is None:
        kept = secrets.token_urlsafe(32)
        store.commit(None, source_state={_STATE: kept})
    return kept
