"""Settings: every error is named at once, the version tells what judged, and changes take effect while running."""

import re
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from queue import Empty, Queue

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.settings import (
    Settings,
    SettingsError,
    diff_settings,
    flat_settings,
    load_settings,
    parse_settings,
)
from earlywarning.settings_watch import watch_settings

SMALLEST = '[municipality]\ncode = "0380"\nname = "Uppsala"\n'
MAPPING = (
    '[mappings.wardens]\ncolumns = { occurred_at = "Tid", category = "Typ" }\n'
    'constants = { kind = "incident", source = "wardens" }\n'
)


def parse(text: str) -> Settings:
    return parse_settings(text, file="earlywarning.toml", folder=Path("/srv/earlywarning"))


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    return list(caught.value.problems)


def template(file: str, **words: str) -> str:
    text = resources.files("earlywarning.data").joinpath("settings", f"{file}.toml").read_text(encoding="utf-8")
    return text.format(**words) if words else text


def municipality_text(areas: str = "") -> str:
    return template("municipality", code="0380", name="Uppsala", areas=areas, police="true")


# ---- errors -----------------------------------------------------------------------------------------------------------

BROKEN = """
colour = "red"
events = 5
[municipality]
code = "0380x"
timezone = "Europe/Upsala"
language = "fi"
[registers]
area_properties = { kod = "KOD", name = 3 }
[service]
port = 99999
clock = "moon"
prot = 1
[store]
url = "mysql://db"
[detection]
windows = [1, 0]
origins = ["reported", "reported"]
kinds = []
years = 3
min_years = 4
min_count = 0
guard_days = 999
[alerts]
false_alarms_per_week = 0
settle_after_days = true
[police_feed]
enabled = true
url = "polisen.se"
every_minutes = 0
timeout_seconds = inf
[mappings.wardens]
columns = { kind = "Sort", premises = "Plats", colour = "Färg" }
constants = { kind = "incident", event_id = "1", origin = "heard", severity = "9" }
values = { premises = { Hus = "house" }, category = { Klotter = "GRAFFITI" } }
skip = { Status = "Makulerad" }
timestamp_format = "YYYY-MM-DD"
timezone = "Asia/Kolkata"
delimiter = ";;"
encoding = "klingon"
[mappings.parking]
constants = { source = 7 }
"""

# Each key that is wrong in BROKEN, with what its message must say is allowed (or do).
EXPECTED = {
    "colour": "sections are municipality",
    "events": "[events]",
    "municipality.code": 'such as "0380"',
    "municipality.name": "missing",
    "municipality.timezone": "Europe/Stockholm",
    "municipality.language": "sv",
    "registers.area_properties.kod": "code, name, parent, population",
    "registers.area_properties.name": "text",
    "service.port": "0 to 65535",
    "service.clock": "wall",
    "service.prot": "keys are host, port",
    "store.url": "postgresql://",
    "detection.windows[1]": "1 to 56",
    "detection.origins": "may stand once",
    "detection.kinds": "not empty",
    "detection.min_years": "0 to 3",
    "detection.min_count": "1 to 1000",
    "detection.guard_days": "0 to 182",
    "alerts.false_alarms_per_week": "above 0 to 1000",
    "alerts.settle_after_days": "1 to 60",
    "police_feed.url": "https://",
    "police_feed.every_minutes": "1 to 1440",
    "police_feed.timeout_seconds": "above 0 to 120",
    "police_feed.user_agent": "who to reach",
    "mappings.wardens.columns.colour": "occurred_at",
    "mappings.wardens.constants.kind": "keep one of the two",
    "mappings.wardens.constants.event_id": "name a column",
    "mappings.wardens.constants.origin": "discovered",
    "mappings.wardens.constants.severity": "1 to 5",
    "mappings.wardens.values.premises.Hus": "dwelling",
    "mappings.wardens.values.category": "columns.category",
    "mappings.wardens.skip.Status": "a list",
    "mappings.wardens.timestamp_format": "%Y-%m-%d",
    "mappings.wardens.timezone": "whole number of hours",
    "mappings.wardens.delimiter": "one character",
    "mappings.wardens.encoding": "utf-8",
    "mappings.parking.columns": "missing",
    "mappings.parking.constants.source": "text",
}


def test_all_errors_of_a_file_are_named_at_once_each_with_its_key() -> None:
    found = problems(BROKEN)
    assert sorted(p.partition(": ")[0] for p in found) == sorted(EXPECTED)


@pytest.mark.parametrize("key", EXPECTED)
def test_an_error_says_what_is_allowed(key: str) -> None:
    (problem,) = (p for p in problems(BROKEN) if p.startswith(f"{key}: "))
    assert EXPECTED[key] in problem


def test_the_error_text_names_the_file_on_every_line() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(BROKEN)
    assert all(line.startswith("earlywarning.toml: ") for line in str(caught.value).split("\n"))


def test_an_error_shows_the_value_that_was_found() -> None:
    (problem,) = problems(SMALLEST + "[service]\nport = 99999\n")
    assert problem == "service.port: 99999 is not allowed; allowed: whole numbers from 0 to 65535"


def test_a_long_value_is_cut_in_its_error() -> None:
    (problem,) = problems(SMALLEST + f'[service]\nclock = "{"x" * 500}"\n')
    assert len(problem) < 150


def test_a_missing_municipality_names_both_keys() -> None:
    assert {p.partition(": ")[0] for p in problems("")} == {"municipality.code", "municipality.name"}


def test_broken_toml_names_the_line() -> None:
    (problem,) = problems(SMALLEST + "port 8620\n")
    assert "line 4" in problem


def test_a_wrong_number_of_years_is_not_blamed_on_the_least_number() -> None:
    assert [p.partition(":")[0] for p in problems(SMALLEST + '[detection]\nyears = "9"\nmin_years = 8\n')] == ["detection.years"]


def test_a_store_error_never_shows_a_password() -> None:
    (problem,) = problems(SMALLEST + '[store]\nurl = "mysql://me:s3cret@db/x"\n')
    assert "s3cret" not in problem


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "earlywarning.toml"
    path.write_bytes('[municipality]\ncode = "0380"\nname = "Älvkarleby"\n'.encode("cp1252"))
    with pytest.raises(SettingsError, match="line 3 is not UTF-8"):
        load_settings(path)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "earlywarning.toml"
    path.write_text(SMALLEST, encoding="utf-8-sig")
    assert load_settings(path).municipality.code == "0380"


def test_a_file_that_is_not_there_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=re.escape(str(tmp_path / "none.toml"))):
        load_settings(tmp_path / "none.toml")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted({key.rpartition(".")[::2] for key in flat_settings(parse(SMALLEST)) if "." in key})


@given(st.sampled_from(KEYS), ANYTHING)
def test_any_value_of_any_key_is_taken_or_refused_by_name(key: tuple[str, str], value: object) -> None:
    section, name = key
    try:
        line = f"{name} = {_toml(value)}\n"
        tomllib.loads(line)
    except ValueError:
        return
    head = SMALLEST if section != "municipality" else '[municipality]\ncode = "0380"\nname = "Uppsala"\n'
    if section == "municipality":
        text = "".join(row + "\n" for row in head.splitlines() if not row.startswith(f"{name} ")) + line
    else:
        text = f"{head}[{section}]\n{line}"
    try:
        parse(text)
        found: tuple[str, ...] = ()
    except SettingsError as error:
        found = error.problems
    # Switching the feed on without a User-Agent is the one case where another key is to blame.
    named = (f"{section}.{name}", "police_feed.user_agent", "detection.min_years")
    assert all(p.startswith(named) for p in found)


def _toml(value: object) -> str:
    match value:
        case None:
            raise ValueError("TOML has no null")
        case dict():
            return "{" + ", ".join(f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case float():
            return str(value)
    return msgspec.json.encode(value).decode()


# ---- version, differences, what is shown --------------------------------------------------------------------------------


def test_comments_layout_and_order_do_not_change_the_version() -> None:
    plain = SMALLEST + '[detection]\nwindows = [7, 1]\nyears = 4\norigins = ["reported", "tasked"]\n'
    shuffled = (
        '# ours\n[detection]\nyears=4\norigins = ["tasked", "reported"]\nwindows = [1, 7]\n\n'
        '[municipality]\nname = "Uppsala" # the town\ncode = "0380"\n'
    )
    assert parse(plain).version == parse(shuffled).version


def test_a_default_that_is_written_out_does_not_change_the_version() -> None:
    assert parse(SMALLEST).version == parse(SMALLEST + "[alerts]\nfalse_alarms_per_week = 1\n").version


@pytest.mark.parametrize(
    "line",
    [
        '[registers]\nareas = "builtin:uppsala"',
        "[events]\nlateness_days = 3",
        "[events]\noldest = 2020-01-01",
        "[detection]\nmin_count = 6",
        "[detection]\nguard_days = 14",
        "[alerts]\nfalse_alarms_per_week = 2",
    ],
)
def test_what_influences_judgement_changes_the_version(line: str) -> None:
    assert parse(SMALLEST).version != parse(f"{SMALLEST}{line}\n").version


@pytest.mark.parametrize("line", ["[service]\nport = 9000", '[store]\nurl = "sqlite:///other.db"', MAPPING])
def test_what_does_not_influence_judgement_keeps_the_version(line: str) -> None:
    assert parse(SMALLEST).version == parse(f"{SMALLEST}{line}\n").version


def test_a_version_is_twelve_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{12}", parse(SMALLEST).version)


def test_a_difference_names_key_old_and_new_value() -> None:
    old = parse(SMALLEST + "[alerts]\nfalse_alarms_per_week = 1\n[detection]\nwindows = [1]\n")
    new = parse(SMALLEST + "[alerts]\nfalse_alarms_per_week = 2.5\n" + MAPPING)
    assert diff_settings(old, new) == [
        ("alerts.false_alarms_per_week", "1.0", "2.5"),
        ("detection.windows", "[1]", "[1,3,7,14,28]"),
        ("mappings", "{}", ""),
        ("mappings.wardens.columns.category", "", '"Typ"'),
        ("mappings.wardens.columns.occurred_at", "", '"Tid"'),
        ("mappings.wardens.constants.kind", "", '"incident"'),
        ("mappings.wardens.constants.source", "", '"wardens"'),
        ("mappings.wardens.delimiter", "", '","'),
        ("mappings.wardens.encoding", "", '"utf-8"'),
        ("mappings.wardens.skip", "", "{}"),
        ("mappings.wardens.timestamp_format", "", '""'),
        ("mappings.wardens.timezone", "", '""'),
        ("mappings.wardens.values", "", "{}"),
    ]


def test_settings_do_not_differ_from_themselves() -> None:
    assert diff_settings(parse(SMALLEST), parse("# the same\n" + SMALLEST)) == []


def test_a_password_of_the_store_is_never_shown() -> None:
    old = parse(SMALLEST + '[store]\nurl = "postgresql://me:s3cret@db/x"\n')
    new = parse(SMALLEST + '[store]\nurl = "postgresql://me:0ther@db/x"\n')
    shown = str(flat_settings(old)) + str(diff_settings(old, new))
    assert "s3cret" not in shown
    assert "0ther" not in shown
    assert [key for key, *_ in diff_settings(old, new)] == ["store.url"]


def test_a_relative_store_lies_beside_the_settings_file() -> None:
    assert parse(SMALLEST).store_url == "sqlite:////srv/earlywarning/earlywarning.db"


@pytest.mark.parametrize("url", ["sqlite:////var/lib/e.db", "postgresql://me@db/earlywarning"])
def test_an_absolute_store_stays_as_it_is(url: str) -> None:
    assert parse(f'{SMALLEST}[store]\nurl = "{url}"\n').store_url == url


# ---- templates ----------------------------------------------------------------------------------------------------------


def test_the_demonstration_maps_the_columns_of_its_data() -> None:
    settings = parse(template("toronto"))
    mapping = settings.mappings["toronto"]
    assert settings.service.clock == "events"
    assert set(mapping.columns.values()) == {"occurred_at", "category", "premises", "lat", "lon"}
    assert "event_id" not in mapping.columns


def test_the_template_for_a_municipality_loads_with_and_without_areas() -> None:
    assert parse(municipality_text()).registers.areas == ""
    settings = parse(municipality_text('areas = "builtin:uppsala"\n'))
    assert (settings.registers.areas, settings.police_feed.enabled) == ("builtin:uppsala", True)


def commented_keys(text: str) -> dict[str, str]:
    """The commented-out defaults, as section.key -> the line without its mark; the example mapping is left out."""
    out, section = {}, ""
    for line in text.splitlines():
        if line.startswith("# A supplier's CSV file"):
            break
        if found := re.match(r"\[(\w+)\]", line):
            section = found[1]
        elif found := re.match(r"# (\w+) = ", line):
            out[f"{section}.{found[1]}"] = line.removeprefix("# ")
    return out


def test_every_key_stands_in_the_template_for_a_municipality() -> None:
    text = municipality_text()
    written = {f"{s}.{k}" for s, keys in tomllib.loads(text).items() for k in keys} | commented_keys(text).keys()
    named = ("mappings", "recipients", "reporters", "channels")
    known = {key for key in flat_settings(parse(SMALLEST)) if not key.startswith(named)}
    assert written == known


def test_what_the_template_shows_as_default_is_the_default() -> None:
    defaults = flat_settings(parse(SMALLEST))
    for key, line in commented_keys(municipality_text()).items():
        section, name = key.split(".")
        if key == "events.oldest":  # has no default that could be written
            continue
        head = SMALLEST if section == "municipality" else f"{SMALLEST}[{section}]\n"
        assert (key, flat_settings(parse(f"{head}{line}\n"))[key]) == (key, defaults[key])
        assert name in line


def test_the_example_mapping_of_the_template_is_a_mapping() -> None:
    _, _, example = municipality_text().partition("# A supplier's CSV file")
    uncommented = "\n".join(line.removeprefix("# ") for line in example.splitlines()[1:])
    assert "wardens" in parse(SMALLEST + uncommented).mappings


# ---- hot reload ---------------------------------------------------------------------------------------------------------


@contextmanager
def watched(path: Path) -> Iterator[Callable[..., object]]:
    """Watches the file; the value is a function that waits for what the watcher says next."""
    heard: Queue[object] = Queue()
    stop = threading.Event()
    thread = threading.Thread(target=watch_settings, args=(path, heard.put, heard.put, stop), daemon=True)
    thread.start()
    try:
        yield lambda seconds=10.0: heard.get(timeout=seconds)
    finally:
        stop.set()
        thread.join(timeout=10)
    assert not thread.is_alive()
    with pytest.raises(Empty):
        heard.get_nowait()


def budget(value: float) -> str:
    return f"{SMALLEST}[alerts]\nfalse_alarms_per_week = {value}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "earlywarning.toml"
    path.write_text(budget(1), encoding="utf-8")
    return path


def replace(path: Path, text: str) -> None:
    """As many editors save: a new file is written and then takes the old one's name."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def false_alarms_per_week(heard: object) -> float:
    assert isinstance(heard, Settings)
    return heard.alerts.false_alarms_per_week


def until_watching(file: Path, heard: Callable[..., object]) -> None:
    """The watcher compares with what it found at its start: only a change after that is heard, so try until one is."""
    for value in range(20, 40):
        replace(file, budget(value))
        try:
            while false_alarms_per_week(heard(1.0)) != value:
                pass
        except Empty:
            continue
        return
    pytest.fail("the watcher never spoke")


def test_a_changed_file_takes_effect_however_it_is_saved(file: Path) -> None:
    with watched(file) as heard:
        until_watching(file, heard)
        replace(file, budget(3))
        assert false_alarms_per_week(heard()) == 3
        replace(file, budget(4))
        assert false_alarms_per_week(heard()) == 4
        file.write_text(budget(5), encoding="utf-8")
        assert false_alarms_per_week(heard()) == 5


def test_a_broken_file_is_reported_and_heals_when_it_is_mended(file: Path) -> None:
    with watched(file) as heard:
        until_watching(file, heard)
        replace(file, budget(-1))
        broken = heard()
        assert isinstance(broken, SettingsError)
        assert [p.partition(":")[0] for p in broken.problems] == ["alerts.false_alarms_per_week"]
        assert str(file) in str(broken)
        replace(file, budget(2))
        assert false_alarms_per_week(heard()) == 2


def test_a_file_that_goes_away_is_waited_for(file: Path) -> None:
    with watched(file) as heard:
        until_watching(file, heard)
        file.unlink()
        replace(file, budget(6))
        assert false_alarms_per_week(heard()) == 6


def test_a_link_whose_target_changes_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "real.toml").write_text(budget(1), encoding="utf-8")
    (tmp_path / "seen").mkdir()
    link = tmp_path / "seen" / "earlywarning.toml"
    link.symlink_to(tmp_path / "one" / "real.toml")
    with watched(link) as heard:
        until_watching(tmp_path / "one" / "real.toml", heard)
        replace(tmp_path / "one" / "real.toml", budget(7))
        assert false_alarms_per_week(heard()) == 7
