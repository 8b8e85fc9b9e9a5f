"""Webhook: a versioned JSON message, signed by the Standard Webhooks specification.

https://www.standardwebhooks.com: headers webhook-id (the message's key), webhook-timestamp and webhook-signature, an HMAC
over id, timestamp and body. A receiver refuses timestamps more than five minutes off, and drops ids that it has seen.
"""

from datetime import UTC, datetime

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from earlywarning.channels.contents import Letter
from earlywarning.channels.http_push import HttpPush
from earlywarning.channels.message_json import message_json
from earlywarning.channels.refusals import NotNow
from earlywarning.channels.secrets import secret_of
from earlywarning.settings_channels import WebhookChannel
from earlywarning.store.outbox import Waiting


class WebhookSender:
    """Posts signed messages."""

    wants_earlier = False

    def __init__(self, channel: WebhookChannel) -> None:
        """Raises NotNow when the key of the signature cannot be read."""
        secret = secret_of(channel)
        try:
            self._webhook = Webhook(secret)
        except (ValueError, EmptyWebhookSecretError):
            raise NotNow("the key of the signature is not base64; make one with: openssl rand -base64 32") from None
        self._push = HttpPush(channel.url, timeout=channel.timeout_seconds, ca_file=channel.ca_file, secrets=(secret,))

    def render(self, letter: Letter) -> bytes:
        """The message as JSON."""
        return message_json(letter)

    def send(self, waiting: Waiting, rendered: bytes) -> None:
        """Sign and post it. The time in the signature is that of this attempt, the id that of the message."""
        now, key = datetime.now(UTC), waiting.message.key
        headers = {
            "content-type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(key, now, rendered.decode()),
        }
        self._push.post(rendered, headers)

    def close(self) -> None:
        """Let go of the connections."""
        self._push.close()
