"""Settings put in force at the desk: published as an operator would, and in force here when the topic brings them back."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from earlywarning.core.settings_draft import Decision
from earlywarning.runtimes.assembly import area_register, category_tree, engine_settings
from earlywarning.runtimes.kafka.connection import KafkaError
from earlywarning.runtimes.kafka.producing import Producer
from earlywarning.settings import Settings, parse_settings
from earlywarning.store import StoreError
from earlywarning.store.settings_versions import SettingsVersions

if TYPE_CHECKING:
    from earlywarning.runtimes.kafka.desk import Desk

LONGEST_WAIT = 30.0  # seconds until the desk has read what it published
_LOOK = 0.05


def publish_rewritten(desk: "Desk", code: str, rewrite: Callable[[Settings], str], decision: Decision) -> int:
    """Publish rewritten settings of a municipality; returns their number when they are in force at the desk.

    Raises DraftError and SettingsError before anything is published, StoreError when the brokers do not take them or they are not
    read back in time.
    """
    with desk.deciding:
        in_force = desk.counters[code].settings
        settings = parse_settings(rewrite(in_force), file=f"settings of {code}", folder=in_force.folder)
        # What no worker could use is refused here.
        engine_settings(settings, datetime.now(UTC), area_register(settings), category_tree(settings))
        try:
            with Producer(desk.cluster) as producer:
                producer.publish([settings], decision)
        except KafkaError as error:
            raise StoreError(f"the settings were not published: {error}") from error
        deadline = time.monotonic() + LONGEST_WAIT
        while desk.counters[code].settings.text != settings.text:
            if time.monotonic() > deadline:
                raise StoreError("the settings are published and will be in force when the desk reads them; look again in a while")
            time.sleep(_LOOK)
        newest = SettingsVersions(desk.store, code).newest()
        return newest.number if newest else 0
