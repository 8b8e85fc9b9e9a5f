"""Models as artefacts: trained by one command, refused when they do not fit, and never a way to run code."""

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import FunctionTransformer

from earlywarning.cli.app import app
from earlywarning.core.detectors.pattern import FEATURES, FEATURES_VERSION
from earlywarning.lab.models import NAME, Card, ModelError, bundled, card_text, load_model, read_card, save_model
from earlywarning.lab.pattern_training import train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    train(folder, trained=date(2025, 1, 1))
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A model that fits, made in no time."""
    rng = np.random.default_rng(0)
    estimator = GaussianMixture(2, random_state=0).fit(rng.normal(size=(200, len(FEATURES))))
    save_model(estimator, read_card(), tmp_path)
    return tmp_path


def recard(folder: Path, content: bytes | None = None, **changes: Any) -> None:
    """Put other content in the file, or other words in the card; the card's hash is made to fit the file."""
    if content is not None:
        (folder / f"{NAME}.skops").write_bytes(content)
        changes |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    card = msgspec.structs.replace(read_card(folder), **changes)
    (folder / f"{NAME}.json").write_bytes(msgspec.json.encode(card))


def repacked(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """The zip file with each of its members changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


class Trap:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


# ---- the bundled model --------------------------------------------------------------------------------------------


def test_the_bundled_model_fits_and_is_found_in_the_package() -> None:
    assert bundled().joinpath(f"{NAME}.skops").is_file()
    model = load_model()
    assert model.card.features == FEATURES
    scores = model.score_samples(np.array([np.zeros(len(FEATURES)), np.full(len(FEATURES), 6.0)]))
    assert scores[0] > scores[1] + 10


def test_the_card_in_words_is_that_of_the_bundled_model() -> None:
    assert (ROOT / "models/pattern/card.md").read_text(encoding="utf-8") == card_text(read_card())


def test_training_again_gives_the_bundled_model(trained: Path) -> None:
    then, now = read_card(), read_card(trained)
    assert then.rows == now.rows
    np.testing.assert_allclose(load_model(trained).score_samples(np.array(then.probe_vectors)), then.probe_scores, rtol=1e-3)


def test_the_card_tells_data_limits_and_what_the_model_adds(trained: Path) -> None:
    card = read_card(trained)
    quiet, *others = card.evaluation
    assert quiet.model_at_1_percent <= 0.02
    assert all(e.windows >= 500 for e in card.evaluation)
    assert any(e.model_at_1_percent > 0.15 for e in others)
    # It must not cost anything beside doing without.
    assert sum(e.model_at_1_percent for e in others) >= 0.95 * sum(e.plain_at_1_percent for e in others)
    assert len(card.limits) >= 3
    assert "Toronto" in card.data
    assert set(card.libraries) >= {"scikit-learn", "skops", "numpy"}


# ---- what does not fit is refused, by name and with the way out ---------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": ("up_1", "humidity")}, "humidity"),
        ({"features": tuple(reversed(FEATURES))}, "another order"),
        ({"features_version": FEATURES_VERSION + 1}, f"version {FEATURES_VERSION + 1}"),
        ({"format": 99}, "format 99"),
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"probe_scores": (1.0,) * 12, "libraries": {"scikit-learn": "0.1"}}, r"scikit-learn 0\.1 then"),
        ({"probe_scores": ()}, "probe"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_what_differs(small: Path, changes: dict[str, Any], words: str) -> None:
    load_model(small)
    recard(small, **changes)
    with pytest.raises(ModelError, match=words) as refused:
        load_model(small)
    assert "earlywarning model train" in str(refused.value)


def test_a_single_changed_byte_is_noticed(small: Path) -> None:
    path = small / f"{NAME}.skops"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match="not the one of its card"):
        load_model(small)


def test_missing_and_damaged_cards_and_files_are_named(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such card"):
        load_model(tmp_path / "nowhere")
    (small / f"{NAME}.skops").unlink()
    with pytest.raises(ModelError, match="no such file"):
        load_model(small)
    (small / f"{NAME}.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(small)


def test_another_version_of_a_library_is_accepted_where_it_reads_the_model_alike(small: Path) -> None:
    recard(small, libraries={"scikit-learn": "1.0", "numpy": "1.0"})
    assert load_model(small).card.libraries["numpy"] == "1.0"


# ---- no code from a file ------------------------------------------------------------------------------------------


def test_a_pickle_is_no_model_and_is_not_opened(small: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    recard(small, pickle.dumps(Trap(mark)))
    with pytest.raises(ModelError, match="not a skops file"):
        load_model(small)
    assert not mark.exists()


def test_a_pickle_in_the_place_of_an_array_is_not_opened(small: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    poisoned = io.BytesIO()
    np.save(poisoned, np.array([Trap(mark)], dtype=object), allow_pickle=True)
    original = (small / f"{NAME}.skops").read_bytes()
    for trap in (poisoned.getvalue(), pickle.dumps(Trap(mark))):
        recard(small, repacked(original, lambda name, data, t=trap: t if name.endswith(".npy") else data))
        with pytest.raises(ModelError, match="skops refuses"):
            load_model(small)
        assert not mark.exists()


@pytest.mark.parametrize(
    "prepared",
    [FunctionTransformer(func=eval), FunctionTransformer(func=np.load), LinearRegression().fit([[0.0]], [1.0])],
    ids=["eval", "np.load", "another estimator"],
)
def test_a_skops_file_with_other_types_is_refused_before_skops_sees_it(
    small: Path, prepared: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    recard(small, skops.io.dumps(prepared))

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("skops was given the file")

    monkeypatch.setattr(skops.io, "loads", opened)
    with pytest.raises(ModelError, match="types that a model here has no use for"):
        load_model(small)


@pytest.mark.parametrize(
    "part",
    [
        {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "content": "x"},
        {"__class__": "dict", "__module__": "builtins", "__loader__": "OperatorFuncNode", "content": "x"},
        {"__class__": "dict", "__module__": "builtins", "__loader__": "MethodNode", "content": {}},
        {"__class__": "system", "__module__": "os"},
        {"__module__": "os"},
    ],
)
def test_a_foreign_part_deep_within_a_file_is_refused(small: Path, part: dict[str, Any]) -> None:
    def poison(name: str, data: bytes) -> bytes:
        if name != "schema.json":
            return data
        schema = json.loads(data)
        schema["content"]["content"]["weights_"] = part
        return json.dumps(schema).encode()

    recard(small, repacked((small / f"{NAME}.skops").read_bytes(), poison))
    with pytest.raises(ModelError, match=r"no use for|not a skops file"):
        load_model(small)


def test_a_file_that_unpacks_to_more_than_a_model_is_refused(small: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 20_000_000)
    recard(small, out.getvalue())
    with pytest.raises(ModelError, match="unpacks to"):
        load_model(small)


# ---- the command --------------------------------------------------------------------------------------------------


def test_the_command_shows_and_checks_the_bundled_model(capsys: pytest.CaptureFixture[str]) -> None:
    app(["model", "show"], result_action="return_value")
    assert capsys.readouterr().out == card_text(read_card())
    app(["model", "check"], result_action="return_value")
    assert read_card().sha256 in capsys.readouterr().out


def test_the_command_trains_what_it_can_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app(["model", "train", "--out", str(tmp_path)], result_action="return_value")
    card: Card = load_model(tmp_path).card
    assert card.sha256 in capsys.readouterr().out
