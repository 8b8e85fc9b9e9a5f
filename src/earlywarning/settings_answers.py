"""[answers]: how the group's answers come in, and what it has agreed on."""

from typing import Annotated

from msgspec import Meta

from earlywarning.settings_sections import Section


class Answers(Section, frozen=True, kw_only=True):
    """link_days: how long the links in messages work. link_key_file: what signs them; without it, the environment variable
    EARLYWARNING_LINK_KEY or a key that the service makes. precision_level: share of alerts that the group wants confirmed.
    """

    link_days: Annotated[int, Meta(ge=1, le=90)] = 14
    link_key_file: str = ""
    precision_level: Annotated[float, Meta(ge=0.05, le=0.99)] = 0.5
