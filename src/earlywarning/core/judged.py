"""What a judgement is about and what it says: values that pass between the watch, the tendencies and the alerts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.scope import Block

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Judged(NamedTuple):
    """A block in a window that ends on last_day: counts in events, and how unusual they are. score above 0 is a signal."""

    block: Block
    window: int
    last_day: int
    observed: float
    expectation: float
    upper_bound: float
    dispersion: float
    p_value: float
    score: float
    missing: float  # share of what is expected of the window that usually is not recorded yet
    status: int
    tendency: str = ""  # of those that are not found by the scan
    recurrence: float = 0.0  # days between such by chance, where the scan's threshold does not say it
    reasons: tuple["Reason", ...] = ()

    def settle(self) -> "Judged":
        """With ten significant digits, which do not depend on the order in which sums were taken."""
        floats = {name: settled(value) for name, value in zip(self._fields, self, strict=True) if isinstance(value, float)}
        reasons = tuple(r._replace(deviation=settled(r.deviation)) for r in self.reasons)
        return self._replace(**floats, reasons=reasons)  # type: ignore[arg-type]  # the floats are floats


def settled(value: float) -> float:
    """Ten significant digits: the last ones of a sum depend on the order in which it was taken."""
    return float(f"{value:.10g}")


class Reason(NamedTuple):
    """A feature that makes a mixture unusual: "category" (with its number), "concentration", "weekend" or "reports".

    deviation: in robust standard deviations of the area's own past.
    """

    feature: str
    category: int
    deviation: float


class Touched(NamedTuple):
    """What a batch touches: area numbers, and pairs of kind and category number."""

    areas: Ints
    kinds: Ints
    categories: Ints


class Cover(NamedTuple):
    """What open alerts are already about. fine: (finest areas, leaf columns) 1 or 0; whole: (areas, columns)."""

    fine: Floats
    whole: NDArray[np.bool_]
