"""CAP as a push: each alert, and what becomes of it, as one CAP 1.2 document by POST."""

from earlywarning.channels.cap_document import CapSender as Who
from earlywarning.channels.cap_document import cap_alert, cap_test, serialise
from earlywarning.channels.contents import Letter
from earlywarning.channels.http_push import HttpPush, auth_of
from earlywarning.channels.refusals import Undeliverable
from earlywarning.channels.secrets import secret_of
from earlywarning.core.outgoing import AlertContent, TestContent
from earlywarning.settings_channels import CapChannel
from earlywarning.store.outbox import Waiting


class CapSender:
    """Posts CAP documents; the identifier is the message's key."""

    wants_earlier = True

    def __init__(self, channel: CapChannel) -> None:
        """Raises NotNow when the secret cannot be read."""
        secret = secret_of(channel)
        self._who = Who(channel.sender, channel.status, channel.restriction)
        auth = auth_of(channel.username, secret)
        self._push = HttpPush(
            channel.url, timeout=channel.timeout_seconds, ca_file=channel.ca_file, auth=auth, secrets=(secret,)
        )  # fmt: skip

    def render(self, letter: Letter) -> bytes:
        """The document. Raises Undeliverable for what is no alert."""
        m = letter.message
        match letter.content:
            case AlertContent() as content:
                root = cap_alert(
                    content, identifier=m.key, sent=m.created_at, sender=self._who, names=letter.names, zone=letter.zone,
                    earlier=letter.earlier,
                )  # fmt: skip
            case TestContent():
                root = cap_test(
                    identifier=m.key, sent=m.created_at, sender=self._who, municipality=m.municipality,
                    words=letter.paragraphs[0], names=letter.names, zone=letter.zone,
                )  # fmt: skip
            case _:
                raise Undeliverable(f"a CAP channel takes single alerts, not messages of kind {m.kind!r}; send those by email")
        return serialise(root)

    def send(self, waiting: Waiting, rendered: bytes) -> None:
        """Post it."""
        self._push.post(rendered, {"content-type": "application/cap+xml", "x-earlywarning-key": waiting.message.key})

    def close(self) -> None:
        """Let go of the connections."""
        self._push.close()
