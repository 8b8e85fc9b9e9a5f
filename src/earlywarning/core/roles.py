"""Who may do what: four roles, each with all that those before it may, and accounts that are limited to districts."""

from collections.abc import Sequence
from typing import Literal

from earlywarning.core.areas import AreaRegister

Role = Literal["reader", "coordinator", "analyst", "administrator"]
ROLES: tuple[Role, ...] = ("reader", "coordinator", "analyst", "administrator")


def suffices(role: Role, least: Role) -> bool:
    """Whether a role may do what `least` may."""
    return ROLES.index(role) >= ROLES.index(least)


def visible_areas(register: AreaRegister, districts: Sequence[str]) -> frozenset[str]:
    """Codes of the areas that an account sees: all, or its districts with everything in them.

    A district that the register no longer has shows nothing: an account never sees more because an area was renamed.
    """
    if not districts:
        return frozenset(register.codes)
    named = {i for i in register.resolve(districts).tolist() if i >= 0}
    return frozenset(
        register.codes[i] for i, above in enumerate(register.ancestors.tolist()) if named & {a for a in above if a >= 0}
    )
