"""Any method on any table of counts, by R's names and ours, and what it says of bad input."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earlywarning.core.detectors.status import DetectorError
from earlywarning.lab.counts_table import TableError, read_counts
from earlywarning.lab.detect import COLUMNS, METHODS, detect
from tests.core.reference import number, rows, wide


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Ten of the reference's series, a row for each week."""
    names = sorted(wide("series"))[:10]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([f"s{i}" for i in names])
    writer.writerows(np.array([wide("series")[i] for i in names]).T.astype(int).tolist())
    path = tmp_path / "counts.csv"
    path.write_text(text.getvalue())
    return path


def run(*words: object) -> int:
    return subprocess.run([sys.executable, "-m", "earlywarning", *map(str, words)], check=False).returncode


def test_the_command_gives_rs_figures_under_rs_names(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.csv"
    sets = [
        "alpha=0.01", "r_compat=true", "noPeriods=10", "weightsThreshold=2.58", "pThresholdTrend=1", "limit54=5,4",
        "thresholdMethod=nbPlugin", "pastWeeksNotIncluded=26", "b=5", "w=3",
    ]  # fmt: skip
    flags = [word for one in sets for word in ("--set", one)]
    assert run("detect", "farrington-flexible", table, "--weeks", "388:399", *flags, "--out", out) == 0
    with out.open() as file:
        ours = {(r["series"], r["t"]): r for r in csv.DictReader(file)}
    theirs = [r for r in rows("flex") if r["setting"] == "F1" and (f"s{r['series_id']}", r["week"]) in ours]
    assert len(theirs) > 10
    for r in theirs:
        own = ours[f"s{r['series_id']}", r["week"]]
        assert (own["alarm"] or "NA") == ("0" if r["alarm"] == "NA" else r["alarm"])
        if r["upper"] != "NA":
            assert float(own["upper_bound"]) == pytest.approx(number(r["upper"]), rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_row_for_each_series_and_step_and_says_how_it_stands(method: str, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.csv"
    assert run("detect", method, table, "--weeks", "400:402", "--out", out) == 0
    with out.open() as file:
        found = list(csv.reader(file))
    assert found[0] == list(COLUMNS)
    assert [row[:2] for row in found[1:]] == [[f"s{i}", str(t)] for i in sorted(wide("series"))[:10] for t in (400, 401, 402)]
    assert all(row[-1] for row in found[1:])
    assert all(row[3] and row[9] in "01" for row in found[1:]), "an expectation and an alarm or none, never nothing"


def test_rs_names_of_methods_and_settings_mean_the_same_as_ours(table: Path) -> None:
    counts = read_counts(table).counts
    one, _ = detect("earsC2", counts, 400, 410, ["minSigma=0.5"])
    two, _ = detect("ears-c2", counts, 400, 410, ["min_sigma=0.5"])
    assert (one.upper_bound == two.upper_bound).all()


@pytest.mark.parametrize(
    ("method", "settings", "span", "problem"),
    [
        ("farington", [], (400, 401), "did you mean farrington"),
        ("farrington-flexibel", [], (400, 401), "did you mean farrington-flexible"),
        ("ears-c1", ["minsigma=1"], (400, 401), "did you mean min_sigma"),
        ("ears-c1", ["alpha=high"], (400, 401), "alpha = 'high': must be a number"),
        ("farrington-flexible", ["r_compat=perhaps"], (400, 401), "true or false"),
        ("farrington-flexible", ["alpha=2"], (400, 401), "between 0 and 1"),
        ("farrington-flexible", [], (100, 110), "263 with these settings"),
        ("bayes1", [], (600, 700), "do not lie in the table of 624 steps"),
        ("bayes1", ["b=3"], (400, 401), "no setting 'b'"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(
    method: str, settings: list[str], span: tuple[int, int], problem: str, table: Path
) -> None:
    with pytest.raises(DetectorError, match=problem):
        detect(method, read_counts(table).counts, *span, settings)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n3\n", "line 3: 1 columns where the header has 2"),
        ("a,b\n1,x\n", "line 2, series 'b': 'x' is not a number"),
        ("a,b\n1,-2\n", "line 2, series 'b': the count -2 is negative"),
        ("a,b\n1,2.5\n", "is not a whole number"),
        ("a,a\n1,2\n", "stands twice"),
        ("a,b\n\n1,2\n\n1,x\n", "line 5, series 'b': 'x'"),
        ("a,b\n1,inf\n", "series 'b': the count inf is negative or infinite"),
        ("a,\n1,2\n", "the name '' is empty"),
        ("a,b\n", "needs a header"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=problem):
        read_counts(path)


def test_a_gap_is_allowed_where_the_method_can_do_with_it_and_its_status_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n" + "\n".join("NA;3" if i == 30 else "2;3" for i in range(40)) + "\n")
    counts = read_counts(path).counts
    found, steps = detect("ears-c1", counts, 30, 36)
    assert found.status[0, steps.tolist().index(31)] == "not observed"
    assert (found.status[1] == "ok").all()
    with pytest.raises(DetectorError, match="a gap"):
        detect("glr-pois", np.tile(counts, 3), 100, 110)
