"""The rules about the service: promtool's checks, a case for each in which it fires and one in which it is quiet, a runbook."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import debian_program
from tests.deploy.test_manifests import COMPOSE, DEPLOY
from tests.test_monitoring import DOCUMENTED

FOLDER = DEPLOY / "prometheus"
RULES = FOLDER / "earlywarning.rules.yml"
CASES = sorted(FOLDER.glob("*.tests.yml"))
ALERTS = {r["alert"]: r for g in yaml.safe_load(RULES.read_text())["groups"] for r in g["rules"] if "alert" in r}
ELSEWHERE = {"kafka_consumergroup_lag", "node_filesystem_avail_bytes", "node_filesystem_size_bytes", "process_start_time_seconds"}


def promtool(*words: str | Path, folder: Path = FOLDER) -> str:
    command = [debian_program("promtool", "prometheus"), *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_rules_without_a_warning() -> None:
    assert "FAILED" not in promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


@pytest.mark.parametrize("cases", [path.name for path in CASES])
def test_each_rule_fires_when_it_must_and_only_then(cases: str) -> None:
    assert "SUCCESS" in promtool("test", "rules", cases)


def test_each_rule_has_a_case_in_which_it_fires_and_one_in_which_it_is_quiet() -> None:
    fires, quiet = set[str](), set[str]()
    for path in CASES:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for test in case["alert_rule_test"]:
                (fires if test["exp_alerts"] else quiet).add(test["alertname"])
    assert fires == quiet == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_each_rule_leads_to_a_section_that_says_what_it_means_what_is_seen_and_what_to_do(name: str) -> None:
    path, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    document = (DEPLOY.parent / path).read_text()
    sections = {heading.lower(): text for heading, text in re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", document, re.M | re.S)}
    assert anchor == name.lower()
    assert re.search(r"\*Means\*.*\*Users see\*.*\*[Dd]o\*", sections[anchor], re.DOTALL)
    assert f"({ALERTS[name]['labels']['severity']})" in sections[anchor]
    assert {"summary", "summary_sv"} <= ALERTS[name]["annotations"].keys()


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    series = {
        name.removesuffix("_bucket")
        for name in re.findall(r"\b(?<![:\w])(?:earlywarning|kafka|node|process)_\w+\b(?!:)", _queries())
    }
    assert series <= DOCUMENTED.keys() | ELSEWHERE


def _queries() -> str:
    return "\n".join(r["expr"] for g in yaml.safe_load(RULES.read_text())["groups"] for r in g["rules"])


def test_compose_gives_prometheus_these_rules_and_enough_memory_for_weeks(tmp_path: Path) -> None:
    prometheus = COMPOSE["services"]["prometheus"]
    for config in prometheus["configs"]:
        content = (DEPLOY / COMPOSE["configs"][config["source"]]["file"]).read_text()
        (tmp_path / Path(config["target"]).name).write_text(content)
    promtool("check", "config", "prometheus.yml", folder=tmp_path)
    settings = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    assert settings["rule_files"] == [RULES.name]
    assert (tmp_path / RULES.name).read_text() == RULES.read_text()
    jobs = {job["job_name"] for job in settings["scrape_configs"]}
    assert {job for job in jobs if job.startswith("earlywarning")} == {"earlywarning-desk", "earlywarning-worker"}
    retention = next(w for w in prometheus["command"] if w.startswith("--storage.tsdb.retention.time="))
    assert int(retention.split("=")[1].removesuffix("d")) > 84, "the rules look back over twelve weeks"
