"""The compose file and the manifests against their schemas, and against the service that they start.

No container engine and no cluster is there to run them on.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from earlywarning.cli.app import app
from earlywarning.runtimes.kafka.topics import EVENTS, group, topic_name
from earlywarning.settings import Kafka, Service, load_cluster_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES = "1.33"  # the version whose schemas are asked
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in MANIFESTS:
        for document in yaml.safe_load_all(path.read_text()):
            yield f"{path.name}: {document['kind']} {document['metadata']['name']}", document


DOCUMENTS = dict(_documents())
OWN = {name: d for name, d in DOCUMENTS.items() if not d["apiVersion"].startswith("keda.sh/")}
PODS = {name: d for name, d in OWN.items() if d["kind"] in ("Job", "Deployment", "StatefulSet")}


def test_the_compose_file_is_one_by_the_compose_specification() -> None:
    # Not imported: its command line wants a newer click than Faust does, and only its copy of the schema is wanted.
    package = Path(next(iter(find_spec("check_jsonschema").submodule_search_locations)))  # type: ignore[union-attr,arg-type]
    schema = json.loads((package / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**COMPOSE, "services": {"x": {"imag": "y"}}}, schema)


@pytest.mark.parametrize("name", OWN)
def test_a_manifest_is_one_by_kubernetes_own_schema(name: str) -> None:
    kubernetes_validate.validate(OWN[name], KUBERNETES, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**OWN[name], "unheardOf": 1}, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", PODS)
def test_pods_are_held_to_what_they_need(name: str) -> None:
    pod = PODS[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert ":" in container["image"].rsplit("/", 1)[-1]
        assert not container["image"].endswith(":latest")
        if PODS[name]["kind"] != "Job":
            assert {"livenessProbe", "readinessProbe"} <= container.keys()


def _commands() -> Iterator[tuple[str, list[str]]]:
    for name, service in COMPOSE["services"].items():
        if "command" in service and service["image"].startswith("earlywarning:"):
            yield f"compose {name}", service["command"]
    for name, document in PODS.items():
        for container in document["spec"]["template"]["spec"]["containers"]:
            if "args" in container:
                yield name, container["args"]


@pytest.mark.parametrize(("name", "words"), _commands())
def test_the_commands_that_are_started_are_there(name: str, words: list[str]) -> None:
    command, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert command.__name__ in ("topics_create", "worker", "desk"), name
    assert str(bound.arguments["settings"]) == "/settings/cluster.toml"


def test_what_compose_mounts_is_in_the_tree_but_for_the_secrets() -> None:
    for item in COMPOSE["configs"].values():
        assert (DEPLOY / item["file"]).is_file()
    ignored = (DEPLOY.parent / ".gitignore").read_text()
    assert "deploy/compose/secrets/" in ignored
    named = {
        s if isinstance(s, str) else s["source"] for service in COMPOSE["services"].values() for s in service.get("secrets", [])
    }
    assert named == set(COMPOSE["secrets"])
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert ":" in service["image"].rsplit("/", 1)[-1]


def test_ports_topics_and_groups_are_those_of_the_code(tmp_path: Path) -> None:
    data = DOCUMENTS["settings.yaml: ConfigMap earlywarning"]["data"]["cluster.toml"]
    (tmp_path / "cluster.toml").write_text(data)
    for file in (tmp_path / "cluster.toml", DEPLOY / "compose" / "cluster.toml"):
        cluster = load_cluster_settings(file)
        assert (cluster.kafka.worker_port, cluster.service.port) == (Kafka().worker_port, Service().port)
    assert f"127.0.0.1:{Service().port}:{Service().port}" in COMPOSE["services"]["desk"]["ports"]
    assert COMPOSE["services"]["worker"]["expose"] == [str(Kafka().worker_port)]
    scaled = DOCUMENTS["autoscaling.yaml: ScaledObject worker"]["spec"]
    assert {t["metadata"]["consumerGroup"] for t in scaled["triggers"]} == {group(Kafka())}
    assert {t["metadata"]["topic"] for t in scaled["triggers"]} == {topic_name(Kafka(), topic) for topic in EVENTS}
    assert scaled["scaleTargetRef"]["name"] == PODS["workers.yaml: Deployment worker"]["metadata"]["name"]
    assert scaled["maxReplicaCount"] <= Kafka().partitions


def test_the_brokers_of_the_image_are_those_that_are_tested() -> None:
    pom = (DEPLOY / "kafka" / "pom.xml").read_text()
    version = pom.split("<kafka.version>")[1].split("<")[0]
    assert COMPOSE["services"]["kafka-1"]["image"].endswith(f":{version}")


def test_the_image_installs_what_workers_need() -> None:
    file = (DEPLOY / "container" / "Containerfile").read_text()
    assert "USER 10001" in file
    locked = (DEPLOY.parent / "requirements.lock").read_text()
    extras = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for requirement in [*extras["kafka"], *extras["postgresql"]]:
        name = requirement.split("[")[0].split("=")[0].split(">")[0].strip()
        assert f"\n{name}==" in f"\n{locked}", name
    assert subprocess.run([sys.executable, "-c", "import faust, kafka, psycopg"], check=False).returncode == 0
