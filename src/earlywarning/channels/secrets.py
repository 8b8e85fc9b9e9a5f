"""Secrets of channels: read from a file or the environment when a connection is made, starred out of all that is said."""

import base64
import os
import re
import ssl
from collections.abc import Iterable
from pathlib import Path

from earlywarning.channels.refusals import NotNow
from earlywarning.settings_channels import Channel

_SHORTEST = 4  # characters of a part of a secret that is starred out on its own


def secret_of(channel: Channel) -> str:
    """The channel's secret, empty when it has none. Raises NotNow naming the file or variable when it cannot be read."""
    if channel.secret_env:
        secret = os.environ.get(channel.secret_env, "").strip()
        if not secret:
            raise NotNow(f"the environment variable {channel.secret_env} (secret_env) is not set or empty")
        return secret
    if not channel.secret_file:
        return ""
    try:
        secret = Path(channel.secret_file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise NotNow(f"the file {channel.secret_file} (secret_file) cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise NotNow(f"the file {channel.secret_file} (secret_file) is not text") from None
    if not secret:
        raise NotNow(f"the file {channel.secret_file} (secret_file) is empty")
    return secret


def tls_of(ca_file: str) -> ssl.SSLContext:
    """What certificates are checked by: the system's authorities, or those of a file. Raises NotNow."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise NotNow(f"the certificates in {ca_file} (ca_file) cannot be used ({type(error).__name__})") from None


class Stars:
    """Stars secrets out of a text, also where one shows as base64 or by its parts, as in a URL."""

    def __init__(self, secrets: Iterable[str], hidden: Iterable[str] = ()) -> None:
        """hidden: what is taken as it stands, such as mail addresses."""
        forms: set[str] = set()
        for secret in filter(None, secrets):
            forms |= {secret, secret.removeprefix("whsec_"), base64.b64encode(secret.encode()).decode().rstrip("=")}
            forms |= {part for part in re.split(r"[/:@?&=,\s]+", secret) if len(part) >= _SHORTEST}
        forms |= {text for text in hidden if text}
        ordered = sorted(forms, key=len, reverse=True)  # the longest first: a part must not spoil the whole
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def out(self, text: str) -> str:
        """The text without them."""
        return self._pattern.sub("***", text) if self._pattern else text
