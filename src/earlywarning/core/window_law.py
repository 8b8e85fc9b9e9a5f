"""What is expected of the windows that end on a day, of what should have been recorded by its end."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.expectation import Expectation, profile, profile_variance
from earlywarning.core.detectors.scan import window_dispersion

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class WindowLaw(NamedTuple):
    """Of each window and column, (windows, K) all: what follows for any area with the level of the fit.

    recorded: sum of the profile over the window, of the part that is recorded by now; share: how much of the whole that is;
    dispersion: variance over mean; profile_variance: relative variance of the profile itself.
    """

    recorded: Floats
    share: Floats
    dispersion: Floats
    profile_variance: Floats


def window_law(fit: Expectation, windows: tuple[int, ...], day: int, kinds: Floats, shares: Floats) -> WindowLaw:
    """The law of the windows that end on `day`.

    kinds: day kinds of the longest window's days; shares: (K, lags) of a day's events that are recorded so many days later.
    """
    days = np.arange(day - max(windows) + 1, day + 1)
    shape = profile(fit, days, kinds)
    arrived = shares[:, np.minimum(day - days, shares.shape[1] - 1)].T
    parts = []
    for length in windows:
        whole, recorded = shape[-length:].sum(0), (shape[-length:] * arrived[-length:]).sum(0)
        share = recorded / np.maximum(whole, 1e-12)
        # A thinned negative binomial: variance over mean falls towards 1 with the share that has arrived.
        phi = 1 + share * (window_dispersion(fit.dispersion, length) - 1)
        parts.append((recorded, share, phi, profile_variance(fit, days[-length:], kinds[-length:])))
    return WindowLaw(*(np.stack(part) for part in zip(*parts, strict=True)))


def common_variance(common: Floats, rank: Ints) -> Floats:
    """Relative variance that larger places have beyond that of their parts: (areas, K). common: (2, K) of a fit."""
    return np.where(rank[:, None] == 0, common[1], np.where(rank[:, None] == 1, common[0], 0.0))


def moments(law: WindowLaw, level: Floats, relative: Floats) -> tuple[Floats, Floats]:
    """Expectation and variance of every window: (windows, areas, K) each.

    level: (areas, K); relative: (areas, K) relative variance of the level and of what larger places share.
    """
    expectation = level * law.recorded[:, None]
    variance = law.dispersion[:, None] * expectation + (relative + law.profile_variance[:, None]) * expectation**2
    return expectation, variance
