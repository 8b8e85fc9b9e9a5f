"""What a channel must do: turn a letter into its own form, send it, and say which failures are for good."""

from typing import Any, Protocol

from earlywarning.channels.contents import Letter
from earlywarning.channels.refusals import NotNow, Undeliverable
from earlywarning.store.outbox import Waiting

__all__ = ["NotNow", "Sender", "Undeliverable"]


class Sender(Protocol):
    """One channel, as its worker uses it: always from the same thread.

    wants_earlier: whether a letter must name the messages of its alert that were sent before it.
    """

    wants_earlier: bool

    def render(self, letter: Letter) -> Any:
        """The letter in the form that `send` takes; the same letter gives the same. Raises Undeliverable."""

    def send(self, waiting: Waiting, rendered: Any) -> None:
        """Deliver it. Raises Undeliverable for what no repetition mends, NotNow for what one may."""

    def close(self) -> None:
        """Let go of connections."""
