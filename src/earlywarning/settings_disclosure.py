"""The section [disclosure]: which counts are too small to leave the group."""

from typing import Annotated

from msgspec import Meta

from earlywarning.settings_sections import Section


class Disclosure(Section, frozen=True, kw_only=True):
    """least_count: the smallest count, above zero, that is shown outside the group; 0 shows all of them."""

    least_count: Annotated[int, Meta(ge=0, le=100)] = 5
