"""Where messages go: one module a kind of channel, and the delivery that takes them from the outbox."""

from earlywarning.channels.contents import Addressee, Contents
from earlywarning.channels.delivery import Delivery
from earlywarning.channels.sending import NotNow, Sender, Undeliverable

__all__ = ["Addressee", "Contents", "Delivery", "NotNow", "Sender", "Undeliverable"]
