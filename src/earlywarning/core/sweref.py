"""SWEREF 99 TM (EPSG:3006) to longitude and latitude and back: Gauss-Krüger projection on GRS 80.

Lantmäteriet, "Gauss Conformal Projection (Transverse Mercator), Krüger's Formulas".
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_AXIS, _FLATTENING = 6378137.0, 1 / 298.257222101
_SCALE, _CENTRAL, _FALSE_EAST = 0.9996, np.radians(15.0), 500_000.0
_E2 = _FLATTENING * (2 - _FLATTENING)
_N = _FLATTENING / (2 - _FLATTENING)
_RADIUS = _AXIS / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)
_FORWARD = (
    _N / 2 - 2 * _N**2 / 3 + 5 * _N**3 / 16 + 41 * _N**4 / 180,
    13 * _N**2 / 48 - 3 * _N**3 / 5 + 557 * _N**4 / 1440,
    61 * _N**3 / 240 - 103 * _N**4 / 140,
    49561 * _N**4 / 161280,
)
_BACK = (
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96 - _N**4 / 360,
    _N**2 / 48 + _N**3 / 15 - 437 * _N**4 / 1440,
    17 * _N**3 / 480 - 37 * _N**4 / 840,
    4397 * _N**4 / 161280,
)


def wgs84_from_sweref99tm(north: Floats, east: Floats) -> tuple[Floats, Floats]:
    """(longitude, latitude) in degrees of points in metres. SWEREF 99 and WGS 84 differ by less than a metre."""
    xi, eta = np.asarray(north) / (_SCALE * _RADIUS), (np.asarray(east) - _FALSE_EAST) / (_SCALE * _RADIUS)
    x, y = xi.copy(), eta.copy()
    for k, c in enumerate(_BACK, start=1):
        x = x - c * np.sin(2 * k * xi) * np.cosh(2 * k * eta)
        y = y - c * np.cos(2 * k * xi) * np.sinh(2 * k * eta)
    conformal = np.arcsin(np.sin(x) / np.cosh(y))
    longitude = _CENTRAL + np.arctan2(np.sinh(y), np.cos(x))
    latitude = conformal
    for _ in range(5):  # the isometric latitude inverted by fixed point: five steps reach the last digit
        sine = np.sin(latitude)
        e = np.sqrt(_E2)
        latitude = np.arcsin(np.tanh(np.arctanh(np.sin(conformal)) + e * np.arctanh(e * sine)))
    return np.degrees(longitude), np.degrees(latitude)


def sweref99tm_from_wgs84(longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
    """(north, east) in metres of points in degrees."""
    phi, lam = np.radians(np.asarray(latitude)), np.radians(np.asarray(longitude)) - _CENTRAL
    e = np.sqrt(_E2)
    tau = np.sinh(np.arctanh(np.sin(phi)) - e * np.arctanh(e * np.sin(phi)))
    xi, eta = np.arctan2(tau, np.cos(lam)), np.arcsinh(np.sin(lam) / np.hypot(tau, np.cos(lam)))
    x, y = xi.copy(), eta.copy()
    for k, c in enumerate(_FORWARD, start=1):
        x = x + c * np.sin(2 * k * xi) * np.cosh(2 * k * eta)
        y = y + c * np.cos(2 * k * xi) * np.sinh(2 * k * eta)
    return _SCALE * _RADIUS * x, _SCALE * _RADIUS * y + _FALSE_EAST
