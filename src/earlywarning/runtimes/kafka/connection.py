"""From [kafka] settings to what each client library wants: brokers, TLS, SASL. Secrets come from a file or the environment."""

import os
import ssl
from pathlib import Path
from typing import Any

from earlywarning.settings import ClusterSettings, SettingsError

PASSWORD = "EARLYWARNING_KAFKA_PASSWORD"  # noqa: S105  # the variable's name


class KafkaError(RuntimeError):
    """The brokers cannot be used as the settings say; says what to do."""


def password(cluster: ClusterSettings) -> str:
    """The password of kafka.username. Raises SettingsError when there is none."""
    named = cluster.kafka.password_file
    if named:
        try:
            return (cluster.folder / named).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError([f"kafka.password_file: {named} cannot be read ({error.strerror})"]) from error
    given = os.environ.get(PASSWORD, "")
    if not given:
        raise SettingsError([f"kafka.password_file: is missing; name a file that holds the password, or set {PASSWORD}"])
    return given


def tls(cluster: ClusterSettings) -> ssl.SSLContext | None:
    """The TLS context, None where the wire is plain. Raises SettingsError for files that cannot be used."""
    k = cluster.kafka
    if not k.security.endswith("ssl"):
        return None
    try:
        context = ssl.create_default_context(cafile=_path(cluster, k.ca_file))
        if k.cert_file:
            context.load_cert_chain(str(_path(cluster, k.cert_file)), _path(cluster, k.key_file))
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(n for n in (k.ca_file, k.cert_file, k.key_file) if n)
        raise SettingsError([f"kafka.ca_file, cert_file, key_file: {names} cannot be used ({error})"]) from error
    return context


def _path(cluster: ClusterSettings, name: str) -> str | None:
    return str(cluster.folder / Path(name)) if name else None


def client_options(cluster: ClusterSettings) -> dict[str, Any]:
    """Keyword arguments that kafka-python's and aiokafka's clients share."""
    k = cluster.kafka
    options: dict[str, Any] = {
        "bootstrap_servers": k.brokers.split(","),
        "security_protocol": k.security.upper(),
        "ssl_context": tls(cluster),
    }
    if k.security.startswith("sasl"):
        options |= {"sasl_mechanism": k.mechanism, "sasl_plain_username": k.username, "sasl_plain_password": password(cluster)}
    return options
