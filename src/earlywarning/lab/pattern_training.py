"""Training the model of usual mixtures on the bundled demonstration data, and measuring it on years it has not seen.

The features are standardised to each area's own past and know neither the names nor the number of the categories, so a
model of one city's ordinary variation is meant to serve for any municipality. What it learns is how such features vary
together when nothing is the matter.
"""

import csv
import gzip
import io
from collections.abc import Callable
from datetime import date
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earlywarning.core.detectors.pattern import (
    FEATURES,
    FEATURES_VERSION,
    Floats,
    PatternSettings,
    Scorer,
    deviations,
    judge_mixture,
    model_scores,
    plain_scores,
)
from earlywarning.lab.models import FORMAT, NAME, Card, Evaluation, installed_versions, save_model

FIRST, LAST = date(2014, 1, 6), date(2019, 12, 29)  # Monday to Sunday, and before 2020 changed what is usual
DWELLINGS = ("House", "Apartment")
SETTINGS = PatternSettings()
_COMPONENTS, _REGULARISATION = 2, 1e-2
_TRAINED_WEEKS = 208  # the first four years; the windows judged in the evaluation lie after them
_STRETCH = 156  # windows that a judgement looks at
_TOGETHER = 7  # neighbourhoods drawn together at random into an area of a district's size


class Windows(NamedTuple):
    """28-day windows at weekly steps: mix (areas, windows, categories), weekend and reports (areas, windows)."""

    mix: Floats
    weekend: Floats
    reports: Floats

    def part(self, begin: int, stop: int) -> "Windows":
        return Windows(*(values[:, begin:stop].copy() for values in self))


def train(folder: Path, *, trained: date, seed: int = 0) -> Card:
    """Train, evaluate and save model and card into a folder. The same seed and libraries give the same model."""
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415  # 1-2 s: only training needs it

    rng = np.random.default_rng(seed)
    neighbourhoods = demonstration_windows()
    areas = _joined([neighbourhoods, *(_drawn_together(neighbourhoods, rng) for _ in range(2))])
    rows = _training_rows(areas)
    # A density, not an isolation forest: a forest gives everything beyond its training data the same score, and the
    # levels of a false-alarm budget lie out there. More components, or full covariances, follow the training data
    # closer and find less: what belongs together when a mixture changes is not what varies together when nothing does.
    estimator = GaussianMixture(_COMPONENTS, covariance_type="diag", reg_covar=_REGULARISATION, random_state=seed)
    estimator.fit(rows)
    held_out = _joined([_drawn_together(neighbourhoods, rng) for _ in range(3)])
    card = Card(
        name=NAME,
        format=FORMAT,
        method=f"Gaussian mixture of {_COMPONENTS} components with diagonal covariances (scikit-learn) over features of the "
        "mixture of events in an area: how far it departs from the area's own past. Its score is turned into a probability "
        "by the scores of the municipality's own past, so the model decides what counts as unusual, not how often an alarm "
        "is raised.",
        trained=trained,
        data=f"Toronto Police Service, Major Crime Indicators, {FIRST} to {LAST}, events outside dwellings, 140 neighbourhoods and "
        f"40 areas of {_TOGETHER} neighbourhoods; trained on the first {_TRAINED_WEEKS} weeks, evaluated on later ones. The data "
        "has no reports by residents: whether an event happened outdoors stands in for the share of reports. Contains information "
        "licensed under the Open Government Licence - Ontario.",
        rows=len(rows),
        seed=seed,
        features=FEATURES,
        features_version=FEATURES_VERSION,
        settings={"reference": SETTINGS.reference, "gap": SETTINGS.gap, "shrink": SETTINGS.shrink, "fewest": SETTINGS.fewest},
        libraries=installed_versions(),
        evaluation=tuple(_evaluate(estimator, held_out, rng)),
        limits=(
            "Five categories of recorded crime in a large North American city; no residents' reports, no lighter disorder.",
            "Levels below about 0.1 % rest on the extrapolated tail of the municipality's own past scores.",
            "An area with fewer than 10 events in 28 days is not judged.",
            "It sees a change of composition, not of number, and says which shares differ, not why. A changed recording "
            "rule or a new reporter looks the same.",
            "It finds little more than the sum of squares that is used without a model (see the evaluation); its number of "
            "components was chosen on other random areas of the same later years.",
        ),
        sha256="",
        bytes=0,
        probe_vectors=tuple(tuple(float(x) for x in row) for row in np.round(rng.normal(0, 1.5, (12, len(FEATURES))), 3)),
        probe_scores=(),
    )  # fmt: skip
    return save_model(estimator, card, folder)


def demonstration_windows() -> Windows:
    """The bundled data of the demonstration as 28-day windows at weekly steps, events in dwellings left out."""
    areas: dict[str, int] = {}
    categories: dict[str, int] = {}
    rows = []
    packed = resources.files("earlywarning.data").joinpath("toronto", "incidents.csv.gz").read_bytes()
    with gzip.open(io.BytesIO(packed), "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            day = (date.fromisoformat(row["occurred_at"][:10]) - FIRST).days
            if 0 <= day <= (LAST - FIRST).days and row["premises"] not in DWELLINGS:
                area = areas.setdefault(row["area"], len(areas))
                category = categories.setdefault(row["category"], len(categories))
                rows.append((area, day // 7, category, day % 7 >= 5, row["premises"] == "Outside"))
    area, week, category, weekend, outside = np.array(rows, dtype=np.int64).T
    weeks = ((LAST - FIRST).days + 1) // 7
    mix = np.zeros((len(areas), weeks, len(categories)))
    sides = np.zeros((2, len(areas), weeks))
    np.add.at(mix, (area, week, category), 1)
    np.add.at(sides[0], (area, week), weekend)
    np.add.at(sides[1], (area, week), outside)
    return Windows(_four_weeks(mix), _four_weeks(sides[0]), _four_weeks(sides[1]))


def _four_weeks(weekly: Floats) -> Floats:
    sums = np.cumsum(np.insert(weekly, 0, 0, axis=1), axis=1)
    return np.asarray(sums[:, 4:] - sums[:, :-4])


def _drawn_together(windows: Windows, rng: np.random.Generator) -> Windows:
    groups = rng.permutation(len(windows.mix))
    groups = groups[: len(groups) // _TOGETHER * _TOGETHER].reshape(-1, _TOGETHER)
    return Windows(*(values[groups].sum(1) for values in windows))


def _joined(parts: list[Windows]) -> Windows:
    return Windows(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _training_rows(areas: Windows) -> Floats:
    """Feature vectors of every fourth window (28 days apart) of the first years, each against the year before."""
    rows = []
    length = 2 * SETTINGS.reference + SETTINGS.gap
    for begin in range(0, _TRAINED_WEEKS - length + 1, SETTINGS.reference // 2):
        found = deviations(*areas.part(begin, begin + length), SETTINGS)
        later = slice(SETTINGS.reference + SETTINGS.gap, None, 4)
        rows.append(found.vectors[:, later][found.seen[:, later]])
    return np.concatenate(rows)


def _evaluate(estimator: Scorer, areas: Windows, rng: np.random.Generator) -> list[Evaluation]:
    """Judge windows of the later years as they are, and with other mixtures put into the last window."""
    cases: list[tuple[str, Callable[[Windows], None]]] = [
        ("nothing put in (false alarms)", lambda windows: None),
        ("one category's odds doubled", lambda windows: _tilt(windows, rng, (2.0,), 1.0)),
        ("one category's odds trebled", lambda windows: _tilt(windows, rng, (3.0,), 1.0)),
        ("one doubled, one halved", lambda windows: _tilt(windows, rng, (2.0, 0.5), 1.0)),
        ("half more of one category, weekend and outdoors", lambda windows: _tilt(windows, rng, (1.5,), 1.5)),
    ]
    results = []
    weeks = areas.mix.shape[1]
    for case, put_in in cases:
        p_model, p_plain = [], []
        for stop in range(max(_TRAINED_WEEKS, _STRETCH) + 13, weeks + 1, 8):
            windows = areas.part(stop - _STRETCH, stop)
            put_in(windows)
            found = deviations(*windows, SETTINGS)
            by_model = judge_mixture(found, model_scores(estimator, found, SETTINGS), SETTINGS)
            judged = by_model.status == 0
            p_model.append(by_model.p_value[judged])
            p_plain.append(judge_mixture(found, plain_scores(found), SETTINGS).p_value[judged])
        ours, plain = np.concatenate(p_model), np.concatenate(p_plain)
        shares = [round(float((p <= level).mean()), 4) for p in (ours, plain) for level in (0.01, 0.001)]
        results.append(Evaluation(case, len(ours), *shares))
    return results


def _tilt(windows: Windows, rng: np.random.Generator, factors: tuple[float, ...], sides: float) -> None:
    """Draw the last window anew with the same number of events: odds of some categories, and of the sides, multiplied."""
    past = slice(0, SETTINGS.reference)
    for area in range(len(windows.mix)):
        events = int(windows.mix[area, -1].sum())
        if not events:
            continue
        usual = windows.mix[area, past].sum(0) / max(windows.mix[area, past].sum(), 1)
        share = (windows.mix[area, -1] / events + usual) / 2
        chosen = rng.permutation(np.flatnonzero(usual > 0.05))[: len(factors)]
        share[chosen] *= factors[: len(chosen)]
        windows.mix[area, -1] = rng.multinomial(events, share / share.sum())
        for side in (windows.weekend, windows.reports):
            if sides != 1:
                p = np.clip((side[area, -1] / events + side[area, past].sum() / windows.mix[area, past].sum()) / 2, 0.01, 0.99)
                side[area, -1] = rng.binomial(events, p * sides / (1 - p + p * sides))
