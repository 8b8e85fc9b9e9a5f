"""Any method on any table of counts: what an analyst would otherwise open R for.

Methods and settings go by R's names (surveillance) and by our own. A new method is one line in `detect_methods.METHODS`.
"""

import difflib
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.status import DetectorError
from earlywarning.lab.detect_methods import METHODS, Judged, Table
from earlywarning.lab.detect_settings import read_settings

__all__ = ["COLUMNS", "METHODS", "Judged", "detect", "method_names"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
COLUMNS = ("series", "t", "observed", "expectation", "upper_bound", "dispersion", "p_value", "score", "trend", "alarm", "status")
_NAMES = {
    "farringtonFlexible": "farrington-flexible", "farrington_flexible": "farrington-flexible", "farringtonflexible":
    "farrington-flexible", "farrington-1996": "farrington", "farrington1996": "farrington", "algo.farrington": "farrington",
    **{f"{a}{b}": f"ears-c{n}" for n in (1, 2, 3) for a in ("ears", "ears_", "ears-") for b in (f"C{n}", f"c{n}")},
    **{f"C{n}": f"ears-c{n}" for n in (1, 2, 3)}, "glrpois": "glr-pois", "glr-poisson": "glr-pois", "glr_pois": "glr-pois",
    "glrnb": "glr-nb", "glr_nb": "glr-nb", "glr-negative-binomial": "glr-nb",
}  # fmt: skip


def method_names() -> tuple[str, ...]:
    """All methods, by name."""
    return tuple(METHODS)


def detect(
    name: str,
    counts: Floats,
    first: int | None = None,
    last: int | None = None,
    given: Sequence[str] = (),
    population: Floats | None = None,
    frequency: int = 52,
    expected: Floats | None = None,
    dates: Sequence[date] | None = None,
) -> tuple[Judged, Ints]:
    """Apply a method to steps first..last (from 1; default: all with enough history). given: settings as name=value.

    counts: (series, steps), NaN for not observed. expected: in-control means for charts, (series, judged or all steps).
    dates: of every step, where a setting asks for them.
    Returns the figures and the steps (from 1). Raises DetectorError for unknown names, values out of range, and counts
    that the method cannot work with.
    """
    name = _NAMES.get(name, name)
    if name not in METHODS:
        close = difflib.get_close_matches(name, [*METHODS, *_NAMES], 1, 0.4)
        hint = f"did you mean {_NAMES.get(close[0], close[0])}? " if close else ""
        raise DetectorError(f"there is no method {name!r}; {hint}methods are {', '.join(METHODS)}")
    if not 1 <= frequency <= 366:
        raise DetectorError(f"frequency = {frequency}: steps in a year, 1 to 366")
    method = METHODS[name]
    settings = read_settings(method.settings, method.preset, given, frequency)
    if expected is not None and not method.takes_expected:
        raise DetectorError(f"{name} finds its expectations itself; a table of them is for cusum, glr-pois and glr-nb")
    needed = 0 if expected is not None else method.needed(settings)
    begin, stop = (needed if first is None else first - 1), (counts.shape[1] if last is None else last)
    if not 0 <= begin < stop <= counts.shape[1]:
        raise DetectorError(
            f"steps {begin + 1}:{stop} do not lie in the table of {counts.shape[1]} steps"
            + (f"; {name} needs {needed} steps of history" if begin >= counts.shape[1] else "")
        )
    if begin < needed:
        raise DetectorError(f"step {begin + 1} has {begin} steps of history; {name} needs {needed} with these settings")
    steps = np.arange(begin, stop)
    if expected is not None:
        expected = _judged_part(expected, counts, steps)
    return method.judge(Table(counts, steps, settings, population, expected, dates)), steps + 1


def _judged_part(expected: Floats, counts: Floats, steps: Ints) -> Floats:
    if expected.shape == counts.shape:
        return expected[:, steps]
    if expected.shape == (len(counts), len(steps)):
        return expected
    raise DetectorError(
        f"expectations must be for {len(counts)} series and the {len(steps)} judged steps (or all {counts.shape[1]}), "
        f"not {expected.shape[0]} series and {expected.shape[1]} steps"
    )
