"""Registers a municipality provides: every error at once, with file, place and rule; points and codes to indices."""

import json
from pathlib import Path

import numpy as np
import pyproj
import pytest

import earlywarning.data
from earlywarning.core.areas import AreaRegister, load_areas, municipality_only
from earlywarning.core.categories import load_categories
from earlywarning.core.events import ORIGINS
from earlywarning.core.registers import RegisterError
from earlywarning.core.sweref import sweref99tm_from_wgs84, wgs84_from_sweref99tm
from tests.core.town import CATEGORIES, areas_text, register, tree

METRES = [[[612000, 6630000], [613000, 6630000], [613000, 6631000], [612000, 6630000]]]
DATA = Path(earlywarning.data.__file__).parent


def test_points_find_the_finest_area_and_nothing_outside() -> None:
    r = register()
    found = r.locate(np.array([17.01, 17.05, 16.0, 17.019]), np.array([59.805, 59.815, 59.8, 59.8199]))
    assert [r.codes[i] if i >= 0 else None for i in found] == ["A0", "A5", None, "A3"]


def test_parents_are_made_of_their_children_and_neighbours_touch() -> None:
    r = register()
    assert r.codes[0] == "0999"
    d0 = int(r.resolve(["D0"])[0])
    assert [r.codes[i] for i in r.children(d0)] == ["A0", "A1", "A2"]
    a1 = int(r.resolve(["A1"])[0])
    assert {r.codes[i] for i in r.neighbours[a1]} == {"A0", "A2", "A3", "A4", "A5"}
    assert r.ancestors[a1].tolist() == [a1, d0, 0]
    assert r.levels.tolist() == [0, 1, 1, 2, 2, 2, 2, 2, 2]


def _broken(change: object) -> str:
    document = json.loads(areas_text())
    change(document)  # type: ignore[operator]
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["features"][3]["properties"].update(code="A0"), "feature 4: code 'A0' stands twice (first in feature 1)"),
        (lambda d: d["features"][2]["properties"].update(code=""), "feature 3: code '' is not allowed"),
        (lambda d: d["features"][2]["properties"].update(code="0999"), "is the municipality's own"),
        (lambda d: d["features"][2].update(geometry=None), "no readable geometry"),
        (lambda d: d["features"][2]["geometry"].update(type="LineString", coordinates=[[17, 59], [18, 59]]), "LineString"),
        (lambda d: d["features"][0]["properties"].update(population=-4), "population '-4'"),
        (lambda d: d["features"][1].update(geometry=d["features"][0]["geometry"]), "overlap"),
        (lambda d: d["features"][0]["geometry"].update(coordinates=METRES), "SWEREF"),
        (lambda d: d["features"][0]["properties"].update(parent="A0"), "its own ancestor"),
        (lambda d: d.update(features=[]), "no features"),
    ],
)  # fmt: skip
def test_errors_in_areas_name_file_feature_and_rule(change: object, words: str) -> None:
    with pytest.raises(RegisterError) as caught:
        load_areas(_broken(change), file="areas.geojson", municipality="0999")
    assert "areas.geojson" in str(caught.value)
    assert words in str(caught.value)


def test_all_errors_come_at_once() -> None:
    def change(document: dict[str, list[dict[str, dict[str, object]]]]) -> None:
        document["features"][0]["properties"]["code"] = "?"
        document["features"][1]["geometry"] = {"type": "Point", "coordinates": [17, 59]}
        document["features"][2]["properties"]["population"] = "many"

    with pytest.raises(RegisterError) as caught:
        load_areas(_broken(change), file="areas.geojson", municipality="0999")
    assert len(caught.value.problems) == 3


def test_a_municipality_without_outlines_is_one_area() -> None:
    r = municipality_only("0380", "Uppsala")
    assert isinstance(r, AreaRegister)
    assert r.resolve(["0380", "x"]).tolist() == [0, -1]
    assert r.locate(np.array([17.0]), np.array([59.0])).tolist() == [-1]


def test_categories_inherit_harm_and_origin_from_their_group() -> None:
    t = tree()
    numbers = dict(zip(t.codes, range(len(t.codes)), strict=True))
    assert t.codes[0] == "all"
    assert t.harm[numbers["C3"]] == 5
    assert [ORIGINS[t.default_origin[numbers[c]]] for c in ("C0", "C2", "C3")] == ["reported", "reported", "discovered"]
    assert t.name(numbers["C0"], "sv") == "Klotter"


def test_semicolons_and_a_byte_order_mark_as_excel_writes_them_are_read() -> None:
    text = "\ufeff" + CATEGORIES.replace(",", ";")
    assert load_categories(text.encode(), file="c.csv").codes == tree().codes


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("C0,G0,A,B,1,", "line 8: code 'C0' stands twice (first in line 3)"),
        ("C9,NONE,A,B,1,", "line 8: parent 'NONE'"),
        ("C9,G0,,B,1,", "needs a name in Swedish and in English"),
        ("C9,G0,A,B,-1,", "harm_weight '-1'"),
        ("C9,G0,A,B,1,seen", "default_origin 'seen'"),
        ("C9,G0,A,B", "4 columns where the header has 6"),
        ("C9,C9,A,B,1,", "its own ancestor"),
        ("all,,A,B,1,", "code 'all' is not allowed"),
    ],
)
def test_errors_in_categories_name_file_line_and_rule(line: str, words: str) -> None:
    with pytest.raises(RegisterError) as caught:
        load_categories(CATEGORIES + line + "\n", file="categories.csv")
    assert "categories.csv" in str(caught.value)
    assert words in str(caught.value)


def test_the_bundled_registers_load() -> None:
    uppsala = load_areas((DATA / "uppsala/areas.geojson").read_bytes(), file="u", municipality="0380")
    toronto = load_areas((DATA / "toronto/areas.geojson").read_bytes(), file="t", municipality="3520")
    assert (len(uppsala.codes), len(toronto.codes)) == (62, 141)
    assert "pproximate" in toronto.note
    assert len(load_categories((DATA / "categories.csv").read_bytes(), file="c").codes) > 50
    assert min(len(n) for n in uppsala.neighbours[1:]) >= 1


def test_sweref_99_tm_agrees_with_proj_to_a_tenth_of_a_millimetre() -> None:
    rng = np.random.default_rng(1)
    longitude, latitude = rng.uniform(10.5, 24.2, 5000), rng.uniform(55.3, 69.1, 5000)
    east, north = pyproj.Transformer.from_crs(4326, 3006, always_xy=True).transform(longitude, latitude)
    ours_north, ours_east = sweref99tm_from_wgs84(longitude, latitude)
    assert np.abs(ours_north - north).max() < 1e-4
    assert np.abs(ours_east - east).max() < 1e-4
    back = wgs84_from_sweref99tm(ours_north, ours_east)
    assert np.abs(back[0] - longitude).max() < 1e-10
    assert np.abs(back[1] - latitude).max() < 1e-10
