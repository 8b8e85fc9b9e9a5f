"""Keys set beside a settings file, to try them out: checked like the file, and said like in it."""

from pathlib import Path

import pytest

from earlywarning.settings import Settings, SettingsError, parse_settings, with_values

TEXT = '[municipality]\ncode = "0380"\nname = "Uppsala"\n[detection]\nmin_count = 5\n'


def tried(**values: str) -> Settings:
    given = {name.replace("__", "."): value for name, value in values.items()}
    return with_values(parse_settings(TEXT, file="t.toml", folder=Path("/srv")), given, "t.toml")


def test_a_key_is_set_anew_and_the_others_stay() -> None:
    new = tried(detection__years="3", alerts__false_alarms_per_week="2.5")
    assert (new.detection.years, new.detection.min_count, new.alerts.false_alarms_per_week) == (3, 5, 2.5)
    assert (new.text, new.folder) == (TEXT, Path("/srv"))
    assert new.version != tried().version


def test_values_are_written_as_in_toml_and_a_text_may_go_without_quotes() -> None:
    new = tried(detection__windows="[1, 7]", detection__origins="['reported', 'tasked']", calendar__holidays="FI")
    assert (new.detection.windows, new.detection.origins, new.calendar.holidays) == ([1, 7], ["reported", "tasked"], "FI")
    assert tried(calendar__holidays="").calendar.holidays == ""


def test_a_key_of_an_inner_section_can_be_set() -> None:
    new = tried(calendar__events__valborg__on='["04-30"]')
    assert new.calendar.events["valborg"].on == ["04-30"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("detection__years", "99", "t.toml: detection.years: 99 is not allowed; allowed: whole numbers from 2 to 10"),
        ("detection__year", "3", "detection.year: there is no such key"),
        ("detecting__years", "3", "detecting: there is no such section"),
        ("years", "3", "years: is no key; write section.key"),
        ("detection__min_count__x", "3", "detection.min_count.x: is no key; write section.key"),
    ],
)
def test_a_wrong_key_or_value_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        tried(**{name: value})
    assert said in str(caught.value)
