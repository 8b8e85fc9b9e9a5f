"""Trained models as artefacts: a skops file and its card, checked before anything in it is used.

A model lies in the package (`earlywarning/data/models`), so that an installed wheel finds it; its card in words stands in
`models/` of the source. Loading never runs code from the file: the file must be the very one that the card describes
(SHA-256), every type named in it must be one of a pinned list, read from its JSON before skops sees it, and its arrays
are read without pickle. Then it must still answer the card's probe vectors as it did when it was trained: that, and not
a version number, tells whether this scikit-learn reads the model as the one that wrote it.
"""

import hashlib
import io
import json
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from earlywarning.core.detectors.pattern import FEATURES, FEATURES_VERSION, Floats, Scorer

NAME = "pattern"
FORMAT = 1  # of the card
RETRAIN = "earlywarning model train --out FOLDER"
LIBRARIES = ("numpy", "scikit-learn", "scipy", "skops")
# Every type that a file may name. skops trusts all of scikit-learn by itself; one estimator is all that is needed here.
PINNED_TYPES = frozenset(
    {
        "builtins.dict",
        "builtins.list",
        "builtins.str",
        "numpy.float64",
        "numpy.ndarray",
        "sklearn.mixture._gaussian_mixture.GaussianMixture",
    }
)
PINNED_NODES = frozenset({"DictNode", "JsonNode", "ListNode", "NdArrayNode", "ObjectNode", "TypeNode"})
_LARGEST = 5_000_000  # bytes of a file, and of what it unpacks to: a model of this kind has some 50,000
_PROBE_TOLERANCE = 1e-6  # relative: other processors round otherwise


class ModelError(RuntimeError):
    """A model that cannot be used: names what differs and how to make one that fits."""

    def __init__(self, model: object, problem: str) -> None:
        super().__init__(
            f"model {model}: {problem}. Train one that fits with `{RETRAIN}`, or do without: the service is complete "
            "without a model"
        )


class Evaluation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Share of judged windows found at two levels, by the model and without it; for "nothing put in" false alarms."""

    case: str
    windows: int
    model_at_1_percent: float
    model_at_1_permille: float
    plain_at_1_percent: float
    plain_at_1_permille: float


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is, beside its file. probe: vectors and the scores that the model gave them when it was trained."""

    name: str
    format: int
    method: str
    trained: date
    data: str
    rows: int
    seed: int
    features: tuple[str, ...]
    features_version: int
    settings: dict[str, float]
    libraries: dict[str, str]
    evaluation: tuple[Evaluation, ...]
    limits: tuple[str, ...]
    sha256: str
    bytes: int
    probe_vectors: tuple[tuple[float, ...], ...]
    probe_scores: tuple[float, ...]


class PatternModel:
    """A loaded model with its card; a Scorer as core.detectors.pattern asks for."""

    def __init__(self, estimator: Scorer, card: Card) -> None:
        self._estimator = estimator
        self.card = card

    def score_samples(self, X: Floats) -> Floats:  # scikit-learn's name
        """(n,) log-densities of (n, features) vectors; low is unusual."""
        return np.asarray(self._estimator.score_samples(X), dtype=np.float64)


def installed_versions() -> dict[str, str]:
    """Versions of the libraries that a model depends on."""
    return {name: metadata.version(name) for name in LIBRARIES}


def bundled() -> Traversable:
    """The folder of the models in the package."""
    return resources.files("earlywarning.data").joinpath("models")


def read_card(folder: Traversable | Path | None = None) -> Card:
    """The card of the model in a folder (None: the bundled one). Raises ModelError when it is missing or damaged."""
    place = (bundled() if folder is None else folder) / f"{NAME}.json"
    try:
        return msgspec.json.decode(place.read_bytes(), type=Card)
    except FileNotFoundError as error:
        raise ModelError(place, "there is no such card") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(place, f"the card cannot be read ({error})") from error


def load_model(folder: Traversable | Path | None = None) -> PatternModel:
    """The model in a folder (None: the bundled one), after all checks.

    Raises ModelError naming what differs when file and card do not belong together, the features or their version are
    not those of this service, the file holds anything but the pinned types, or the scores of the probe differ.
    """
    place = (bundled() if folder is None else folder) / f"{NAME}.skops"
    card = read_card(folder)
    _check_card(place, card)
    try:
        content = place.read_bytes()
    except OSError as error:
        raise ModelError(place, "there is no such file") from error
    if len(content) > _LARGEST:
        raise ModelError(place, f"the file has {len(content)} bytes; a model has at most {_LARGEST}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            place, f"the file is not the one of its card: SHA-256 {digest[:12]}..., the card says {card.sha256[:12]}..."
        )
    _check_types(place, content)
    model = PatternModel(_unpack(place, content), card)
    _check_probe(place, model)
    return model


def save_model(estimator: Any, card: Card, folder: Path) -> Card:
    """Write model and card into a folder; returns the card with the file's hash and the scores of the probe."""
    import skops.io  # noqa: PLC0415  # 1-2 s: only training and loading need it

    # skops writes what a zip file is free to choose (ids, times): a file has its own hash at each writing.
    content = skops.io.dumps(estimator)
    _check_types(NAME, content)
    scores = np.asarray(estimator.score_samples(np.array(card.probe_vectors)), dtype=np.float64)
    card = msgspec.structs.replace(
        card,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        probe_scores=tuple(round(float(s), 9) for s in scores),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.skops").write_bytes(content)
    (folder / f"{NAME}.json").write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
    return card


def card_text(card: Card) -> str:
    """The card in words (Markdown)."""
    rows = "\n".join(
        f"| {e.case} | {e.windows} | {e.model_at_1_percent:.3f} | {e.plain_at_1_percent:.3f} "
        f"| {e.model_at_1_permille:.4f} | {e.plain_at_1_permille:.4f} |"
        for e in card.evaluation
    )
    settings = ", ".join(f"{k} {v:g}" for k, v in card.settings.items())
    libraries = ", ".join(f"{k} {v}" for k, v in card.libraries.items())
    limits = "\n".join(f"- {limit}" for limit in card.limits)
    return f"""# Model card: {card.name}

{card.method}

- Data: {card.data}
- Trained: {card.trained.isoformat()} on {card.rows} feature vectors, seed {card.seed}; {libraries}
- Features (version {card.features_version}): {", ".join(card.features)}; {settings}
- File: `{card.name}.skops`, {card.bytes} bytes, SHA-256 `{card.sha256}`

## Evaluation

Share of windows found at a nominal level of 1 % and of 0.1 %; "plain" is the same detector without a model.

| put into held-out windows | windows | model, 1 % | plain, 1 % | model, 0.1 % | plain, 0.1 % |
| --- | --- | --- | --- | --- | --- |
{rows}

## Limits

{limits}
"""


def _check_card(place: object, card: Card) -> None:
    if card.format != FORMAT or card.name != NAME:
        raise ModelError(
            place, f"the card is of {card.name!r} in format {card.format}; this service reads {NAME!r} in format {FORMAT}"
        )
    if card.features_version != FEATURES_VERSION:
        versions = f"features of version {card.features_version}; this service computes version {FEATURES_VERSION}"
        raise ModelError(place, f"it was trained on {versions}")
    if card.features != FEATURES:
        lost = [f for f in card.features if f not in FEATURES]
        new = [f for f in FEATURES if f not in card.features]
        words = f"unknown here: {', '.join(lost) or 'none'}; unknown to it: {', '.join(new) or 'none'}; or in another order"
        raise ModelError(place, f"its features are not those of this service ({words})")


def _check_types(place: object, content: bytes) -> None:
    """Refuse a file that names any type or kind of node beyond the pinned ones, before skops is given it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > _LARGEST:
                raise ModelError(place, f"the file unpacks to {unpacked} bytes; a model has at most {_LARGEST}")
            schema = json.loads(archive.read("schema.json"))
        nodes = list(_nodes(schema))
        types = {f"{node['__module__']}.{node['__class__']}" for node in nodes}
        loaders = {str(node["__loader__"]) for node in nodes}
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RecursionError, NotImplementedError) as error:
        raise ModelError(place, f"this is not a skops file ({type(error).__name__})") from error
    foreign = sorted((types - PINNED_TYPES) | (loaders - PINNED_NODES))
    if foreign:
        raise ModelError(place, f"the file names types that a model here has no use for: {', '.join(foreign)[:200]}")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every part of a skops schema that names a type, a loader or anything else by which code could be found."""
    if isinstance(value, dict):
        if any(key in value for key in ("__class__", "__module__", "__loader__")):
            yield value
        for part in value.values():
            yield from _nodes(part)
    elif isinstance(value, list):
        for part in value:
            yield from _nodes(part)


def _unpack(place: object, content: bytes) -> Scorer:
    import skops.io  # noqa: PLC0415  # 1-2 s: only training and loading need it
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415
    from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # Another scikit-learn than at training is no fault in itself: the probe tells whether it reads the model alike.
            warnings.simplefilter("ignore")
            estimator = skops.io.loads(content, trusted=[])
    except (UntrustedTypesFoundException, ValueError, KeyError, TypeError, AttributeError, ImportError, OSError) as error:
        raise ModelError(place, f"skops refuses the file ({type(error).__name__})") from error
    if type(estimator) is not GaussianMixture:
        raise ModelError(place, f"the file holds a {type(estimator).__name__}, not a GaussianMixture")
    return estimator  # type: ignore[no-any-return]  # scikit-learn has no types


def _check_probe(place: object, model: PatternModel) -> None:
    card = model.card
    versions = ", ".join(
        f"{name} {card.libraries.get(name, 'unknown')} then, {now} here"
        for name, now in installed_versions().items()
        if card.libraries.get(name) != now
    )
    try:
        scores = model.score_samples(np.array(card.probe_vectors, dtype=np.float64))
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(place, f"it does not answer its probe ({type(error).__name__}; {versions or 'same libraries'})") from error
    then = np.array(card.probe_scores)
    if scores.shape != then.shape or not len(then) or not np.allclose(scores, then, rtol=_PROBE_TOLERANCE, atol=_PROBE_TOLERANCE):
        raise ModelError(
            place, f"it scores the probe of its card otherwise than when it was trained ({versions or 'same libraries'})"
        )
