"""Chat: Teams, Slack, Mattermost, ntfy and the like, through Apprise, which knows each service's ways."""

import logging
import re
from contextvars import ContextVar
from typing import NamedTuple

import apprise

from earlywarning.channels.contents import Letter
from earlywarning.channels.refusals import NotNow, Undeliverable
from earlywarning.channels.secrets import secret_of
from earlywarning.settings_channels import ChatChannel
from earlywarning.store.outbox import Waiting

_STATUS = re.compile(r"\berror=(\d{3})\b")
_TRANSIENT = (408, 425, 429)
MOST_ALERTS = 8  # in one message: what a chat shows without cutting


class _Heard:
    """The HTTP status that Apprise told of while a message was sent, 0 for none."""

    status = 0


_hearing: ContextVar[_Heard | None] = ContextVar("hearing", default=None)


class _Ear(logging.Handler):
    """Apprise tells its troubles in logs only, and some hold the address: they end here, and only a status is kept.

    Apprise sends in threads of its own, and takes the context of the caller there.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the status, and nothing else of what is said."""
        heard = _hearing.get()
        if heard is not None and (found := _STATUS.search(record.getMessage())):
            heard.status = int(found[1])


_log = logging.getLogger("apprise")
_log.propagate = False
_log.addHandler(_Ear(logging.WARNING))


class Chat(NamedTuple):
    """A message of a chat: a title and plain text."""

    title: str
    body: str


class ChatSender:
    """Sends to one Apprise URL."""

    wants_earlier = False

    def __init__(self, channel: ChatChannel) -> None:
        """Raises NotNow when the URL cannot be read or names no service."""
        plugin = apprise.Apprise.instantiate(secret_of(channel), suppress_exceptions=True)
        if plugin is None:
            raise NotNow("the chat's address is none that Apprise knows; see https://appriseit.com for how each service writes it")
        plugin.socket_connect_timeout = plugin.socket_read_timeout = channel.timeout_seconds
        self._apprise = apprise.Apprise()
        self._apprise.add(plugin)
        self._kind = str(plugin.service_name)

    def render(self, letter: Letter) -> Chat:
        """The message as text; the key stands at its end, so that a repetition is known by it."""
        parts = list(letter.paragraphs)
        for one in letter.alerts[:MOST_ALERTS]:
            lines = [(one.sentence if len(letter.alerts) == 1 else one.headline) or one.about, one.stage, one.measures]
            lines += [f"{label}: {address}" for _, label, address in one.links]
            parts.append("\n".join(line for line in lines if line))
        if len(letter.alerts) > MOST_ALERTS:
            parts.append(f"+ {len(letter.alerts) - MOST_ALERTS}")
        return Chat(letter.subject, "\n\n".join([*parts, letter.closing[-1]]))

    def send(self, waiting: Waiting, rendered: Chat) -> None:
        """Send it."""
        heard = _Heard()
        before = _hearing.set(heard)
        try:
            done = self._apprise.notify(title=rendered.title, body=rendered.body, body_format=apprise.NotifyFormat.TEXT)
        finally:
            _hearing.reset(before)
        if done:
            return
        if not heard.status:
            raise NotNow(f"{self._kind}: no connection, or no answer in time")
        words = f"{self._kind} answered {heard.status}"
        if 400 <= heard.status < 500 and heard.status not in _TRANSIENT:
            raise Undeliverable(words)
        raise NotNow(words)

    def close(self) -> None:
        """Nothing is kept open."""
