"""`earlywarning detect` as a person runs it: tables in, figures out, and errors that name what to mend."""

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.cli.told import earlywarning
from tests.core.reference import number, rows, wide

IDS = sorted(wide("series"))[:12]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return earlywarning(None, *words)


def write(path: Path, columns: dict[str, np.ndarray]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([f"{v:.12g}" for v in row] for row in zip(*columns.values(), strict=True))
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "counts.csv", {f"s{i}": wide("series")[i] for i in IDS})


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("method", "setting", "sets"),
    [
        ("glr-pois", "G1", ["S=1", "trend=TRUE", "c.ARL=5"]),
        ("glrnb", "G2", ["S=1", "trend=FALSE", "alpha=NULL"]),
        ("glr-nb", "G3", ["c.ARL=4", "alpha=0.1", "M=-1", "Mtilde=1"]),
        ("glr-pois", "G4", ["M=26", "Mtilde=1"]),
        ("glr-pois", "G7", ["ret=cases"]),
    ],
)
def test_a_chart_repeats_rs_statistic_and_alarms(method: str, setting: str, sets: list[str], table: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.csv"
    given = [word for one in [*sets, "r_compat=true"] for word in ("--set", one)]
    mu0 = write(tmp_path / "mu0.csv", {f"s{i}": wide("mu_true")[i] for i in reversed(IDS)})
    own = ["--mu0", mu0] if setting in ("G3", "G4", "G7") else []
    assert run("detect", method, table, "--weeks", "313:416", *given, *own, "--out", out).returncode == 0
    ours = {(r["series"], r["t"]): r for r in read(out)}
    compared = 0
    for r in rows("glr"):
        if r["setting"] == setting and r["error"] == "0" and int(r["series_id"]) in IDS:
            row = ours[f"s{r['series_id']}", r["week"]]
            assert float(row["upper_bound"]) == pytest.approx(number(r["stat"]), rel=1e-6, abs=1e-6)
            assert row["alarm"] == r["alarm"]
            compared += 1
    assert compared >= 600


def test_without_a_range_the_longest_one_is_judged_and_said(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.csv"
    done = run("detect", "farrington", table, "--start", "2001:1", "--out", out)
    assert done.returncode == 0
    assert "judged steps 264:624, all that have enough history (2006:4 to 2012:52)" in done.stderr
    found = read(out)
    assert [r["t"] for r in found[:361]] == [str(t) for t in range(264, 625)]
    assert [r["series"] for r in found[::361]] == [f"s{i}" for i in IDS]


def test_a_dash_writes_to_standard_output_and_twice_the_same(table: Path) -> None:
    one, two = (run("detect", "rki3", table, "--weeks", "400:401", "--out", "-").stdout for _ in range(2))
    assert one == two
    assert one.startswith("series,t,observed,expectation,upper_bound,dispersion,p_value,score,trend,alarm,status\n")
    assert len(one.splitlines()) == 1 + 2 * len(IDS)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["glr-pois", "--weeks", "400"], "--weeks '400': must be FIRST:LAST"),
        (["glr-pois", "--start", "2001-13-01"], "--start '2001-13-01'"),
        (["glr-poisson2"], "did you mean glr-pois"),
        (["farrington-flexible", "--set", "noPeriod=10"], "did you mean noPeriods"),
        (["farrington-flexible", "--set", "thresholdMethod=nbplugin"], "did you mean nbPlugin"),
        (["farrington-flexible", "--set", "limit54=5"], "two whole numbers"),
        (["farrington-flexible", "--set", "populationOffset=true"], "population_offset needs a population"),
        (["farrington-flexible", "--set", "alpha=.01", "--set", "alpha=.02"], "alpha is set twice"),
        (["glr-nb", "--set", "theta=inf"], "theta = 'inf': must be a number"),
        (["bayes1", "--frequency", "0"], "frequency = 0"),
    ],
)
def test_what_is_wrong_is_said_in_words(words: list[str], problem: str, table: Path) -> None:
    done = run("detect", words[0], table, *words[1:])
    assert done.returncode == 1
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_a_gap_that_a_chart_cannot_bear_is_named_with_series_and_step(tmp_path: Path) -> None:
    counts = {"north": np.full(120, 3.0), "south": np.full(120, 2.0)}
    path = write(tmp_path / "t.csv", counts)
    lines = path.read_text().splitlines()
    lines[80] = "3,"
    path.write_text("\n".join(lines) + "\n")
    done = run("detect", "glr-pois", path, "--weeks", "100:110")
    assert done.returncode == 1
    assert "series 'south' has a gap in step 80" in done.stderr
    assert run("detect", "bayes1", path, "--weeks", "79:82").returncode == 0


def test_references_by_calendar_need_the_date_of_the_first_step_and_move_with_the_years(table: Path, tmp_path: Path) -> None:
    out = [tmp_path / "counted.csv", tmp_path / "dated.csv"]
    common = ["detect", "farrington-flexible", table, "--weeks", "400:416"]
    refused = run(*common, "--set", "epochAsDate=true", "--start", "2004:1", "--out", out[0])
    assert refused.returncode
    assert "by_date needs a date for each step: give the date of the first one" in refused.stderr
    assert run(*common, "--start", "2004-01-05", "--out", out[0]).returncode == 0
    assert run(*common, "--start", "2004-01-05", "--set", "epochAsDate=TRUE", "--out", out[1]).returncode == 0
    counted, dated = (read(path) for path in out)
    assert [r["observed"] for r in counted] == [r["observed"] for r in dated]
    moved = sum(a["expectation"] != b["expectation"] for a, b in zip(counted, dated, strict=True))
    assert moved > len(counted) / 2  # 2009 had 53 weeks: all references before it lie a week elsewhere
