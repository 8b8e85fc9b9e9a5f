"""Single inputs that once were faults and that no mutator is sure to make again."""

import zlib
from pathlib import Path

import pytest

from earlywarning.core.areas import load_areas
from earlywarning.core.registers import RegisterError
from earlywarning.runtimes.kafka import messages
from earlywarning.settings import SettingsError, parse_settings
from earlywarning.web.bodies import BodyError, read_body, whole_number
from tests.core.town import CODE
from tests.hostile.requests import application


@pytest.mark.parametrize("text", ['{"a": ' + "9" * 5_000 + "}", "[" * 100_000, b"\xff"], ids=["digits", "deep", "no utf-8"])
def test_areas_that_python_cannot_read_are_refused(text: str | bytes) -> None:
    with pytest.raises(RegisterError, match="not JSON"):
        load_areas(text, file="areas.geojson", municipality=CODE)


def test_settings_nested_without_end_are_refused() -> None:
    with pytest.raises(SettingsError, match="nested too deeply"):
        parse_settings("a = " + "[" * 50_000, file="x.toml", folder=Path())


def test_a_time_pattern_that_holds_a_part_twice_is_refused() -> None:
    town = f'[municipality]\ncode = "{CODE}"\nname = "Testby"\n'
    mapping = '[mappings.a]\ntimestamp_format = "%Y-%m-%m"\ncolumns = { area = "Plats" }\n'
    with pytest.raises(SettingsError, match=r"mappings\.a\.timestamp_format: '%Y-%m-%m' holds a part twice"):
        parse_settings(town + mapping, file="x.toml", folder=Path())


def test_a_bomb_of_published_settings_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LARGEST_SETTINGS", 1 << 20)
    with pytest.raises(SettingsError, match="larger than 1 MB"):
        messages.unpack_settings(zlib.compress(bytes(64 << 20)), tmp_path)


@pytest.mark.parametrize("query", [b"after=9" + b"9" * 30, b"source=%00", b"source=\xff"])
def test_parameters_that_no_database_takes_are_refused(query: bytes) -> None:
    status, _ = application().ask(b"GET /v1/dead-letters?" + query + b"\n\n\n")
    assert status == 400


def test_who_is_sent_on_to_an_address_beyond_ascii_is_sent_there() -> None:
    status, _ = application().ask(b"GET /sign-in?next=/areas/%C3%85KERBY%3Fq=%ff\n\n\n")
    assert status == 303


def test_a_body_is_refused_by_field_and_rule_without_its_values() -> None:
    with pytest.raises(BodyError) as refused:
        read_body(b'{"anna@example.se": 1, "who": "x"}', application().service.settings.disclosure.__class__)
    assert (refused.value.rule, "anna" in str(refused.value) + refused.value.field) == ("unknown-field", False)
    assert whole_number("9" * 5_000) is None
    assert whole_number("12") == 12
