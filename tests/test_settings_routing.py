"""Settings of recipients, reporters and meetings: every error at once, with the way out."""

from pathlib import Path

import pytest

from earlywarning.core.kinship import Kinship
from earlywarning.locale import Names
from earlywarning.runtimes.recipients import addressee, recipients_of
from earlywarning.settings import SettingsError, load_cluster_settings, parse_settings
from earlywarning.settings_routing import hours_of, routing_problems
from tests.core.town import CODE, register, tree

HEAD = f'[municipality]\ncode = "{CODE}"\nname = "Testby"\n'
ONE = '[recipients.police]\nrole = "municipal police officer"\nchannel = "mail"\n'

# What is written, with the key that is to blame and what the error must say.
WRONG = {
    "an unknown recipient": (ONE + 'escalates_to = "steering"\n', "recipients.police.escalates_to", "others are none"),
    "an escalation to oneself": (ONE + 'escalates_to = "police"\n', "recipients.police.escalates_to", "leads back"),
    "hours that are none": (ONE + 'hours = "7 to 18"\n', "recipients.police.hours", "such as 7-18"),
    "a weekday of a daily digest": (
        ONE + 'digest = "daily"\ndigest_weekday = "monday"\n', "recipients.police.digest_weekday", "weekly",
    ),
    "an address with a line break": (ONE + 'address = "a@b.se\\nBcc: x@y.se"\n', "recipients.police.address", "one address"),
    "a role that is none": (ONE.replace("municipal police officer", "!"), "recipients.police.role", "coordinator"),
    "a missing channel": ('[recipients.police]\nrole = "police"\n', "recipients.police.channel", "missing"),
    "a tendency of another name": (ONE + 'tendencies = ["crime"]\n', "recipients.police.tendencies[0]", "severe"),
    "a name with a space": (ONE.replace(".police", '."the police"'), "recipients.the police", "up to 40 letters"),
    "a reporter with the name of a recipient": (
        ONE + '[reporters.police]\nsource = "x"\nchannel = "mail"\n', "reporters.police", "give it another",
    ),
    "a weekday that is none": ('[meeting]\nweekday = "torsdag"\n', "meeting.weekday", "thursday"),
    "no section at all": ("recipients = 5\n", "recipients", "[recipients.coordination]"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_an_error_names_the_key_and_the_way_out(what: str) -> None:
    text, key, said = WRONG[what]
    with pytest.raises(SettingsError) as caught:
        parse_settings(text + HEAD if what == "no section at all" else HEAD + text, file="x", folder=Path())
    (problem,) = caught.value.problems
    assert problem.startswith(f"{key}: ")
    assert said in problem


def test_a_circle_of_escalations_is_named_for_each_who_stands_in_it() -> None:
    text = "".join(
        f'[recipients.{a}]\nrole = "r"\nchannel = "mail"\nescalates_to = "{b}"\n' for a, b in (("a", "b"), ("b", "c"), ("c", "b"))
    )
    with pytest.raises(SettingsError) as caught:
        parse_settings(HEAD + text, file="x", folder=Path())
    assert [p.partition(":")[0] for p in caught.value.problems] == ["recipients.b.escalates_to", "recipients.c.escalates_to"]


def test_an_unknown_channel_is_named_with_those_that_there_are() -> None:
    settings = parse_settings(HEAD + ONE, file="x", folder=Path())
    (problem,) = routing_problems(settings.recipients, {}, {"chat": None, "cap": None})
    assert problem == "recipients.police.channel: there is no channel 'mail'; channels are chat, cap"


@pytest.mark.parametrize(
    ("text", "hours"), [("", None), ("7-18", (7, 18)), ("22-06", (22, 6)), ("7-24", (7, 0)), ("00-12", (0, 12))]
)
def test_hours_are_read(text: str, hours: tuple[int, int] | None) -> None:
    assert hours_of(text) == hours


@pytest.mark.parametrize("text", ["7-7", "0-24", "7", "25-3", "7:30-18"])
def test_hours_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 7-18"):
        hours_of(text)


def test_who_gets_what_does_not_change_how_it_is_judged() -> None:
    plain = parse_settings(HEAD, file="x", folder=Path())
    told = parse_settings(HEAD + ONE + "[routing]\nsend_within_days = 3\n[meeting]\nevery_weeks = 2\n", file="x", folder=Path())
    assert plain.version == told.version


def test_a_cluster_may_read_the_file_of_a_municipality_with_recipients(tmp_path: Path) -> None:
    path = tmp_path / "earlywarning.toml"
    path.write_text(HEAD + ONE)
    assert load_cluster_settings(path).service.port == 8620


def test_each_has_an_address_and_knows_why_it_gets_what_it_gets() -> None:
    more = 'address = "omradespolis@example.se"\nareas = ["D0"]\nlanguage = "sv"\n'
    reporter = '[reporters.school]\nsource = "skolan"\nchannel = "mail"\nlanguage = "en"\n'
    settings = parse_settings(HEAD + ONE + more + reporter, file="x", folder=Path())
    kin, names = Kinship.from_registers(register(), tree()), Names.from_registers(register(), tree())
    assert [r.language for r in recipients_of(settings, kin)] == ["sv"]
    assert addressee(settings, "police", kin, names) == (
        "omradespolis@example.se", "Det går till police (municipal police officer): D0; alla kategorier.",
    )  # fmt: skip
    assert addressee(settings, "school", kin, names) == ("", "It goes to school, in answer to what skolan has reported.")
    assert addressee(settings, "nobody", kin, names) is None
