"""Why a message was not delivered: for good, or for now. What is said of it holds no secret and no address."""


class Undeliverable(RuntimeError):
    """No repetition mends it: the message is given up, and a person sees it."""


class NotNow(RuntimeError):
    """It may be delivered later.

    channel: whether the channel itself seems to be down, not only the way to this recipient. after: seconds for which
    the receiver asked to be left alone.
    """

    def __init__(self, problem: str, *, channel: bool = True, after: float = 0.0) -> None:
        self.channel, self.after = channel, after
        super().__init__(problem)
