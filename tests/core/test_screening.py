"""Personal data is found in every common writing, and case numbers, codes and times are let through."""

import time
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.screening import REMOVED, RULE_TEXT, find_personal_data, mask, screen_values

PERSON, COORDINATION = "personal-identity-number", "coordination-number"
MAIL, TELEPHONE, PLATE = "e-mail-address", "telephone-number", "vehicle-registration-number"


def check_digit(nine: str) -> str:
    doubled = "".join(str(int(digit) * (2 if i % 2 == 0 else 1)) for i, digit in enumerate(nine))
    return str(-sum(map(int, doubled)) % 10)


def number(born: date, serial: int, coordination: bool = False) -> str:
    """Twelve digits, made up, with a right check digit."""
    nine = f"{born:%y%m}{born.day + (60 if coordination else 0):02d}{serial:03d}"
    return f"{born.year // 100}{nine}{check_digit(nine)}"


WRITINGS = {
    "YYMMDD-NNNN": lambda n: f"{n[2:8]}-{n[8:]}",
    "YYMMDD+NNNN": lambda n: f"{n[2:8]}+{n[8:]}",
    "YYMMDD NNNN": lambda n: f"{n[2:8]} {n[8:]}",
    "YYMMDD - NNNN": lambda n: f"{n[2:8]} - {n[8:]}",
    "YYMMDDNNNN": lambda n: n[2:],
    "YYYYMMDD-NNNN": lambda n: f"{n[:8]}-{n[8:]}",
    "YYYYMMDD NNNN": lambda n: f"{n[:8]} {n[8:]}",
    "YYYYMMDDNNNN": lambda n: n,
    "YYYY-MM-DD-NNNN": lambda n: f"{n[:4]}-{n[4:6]}-{n[6:8]}-{n[8:]}",
    "YY MM DD NNNN": lambda n: f"{n[2:4]} {n[4:6]} {n[6:8]} {n[8:]}",
    "en dash": lambda n: f"{n[2:8]}\u2013{n[8:]}",
    "minus sign": lambda n: f"{n[:8]}\u2212{n[8:]}",
    "hyphen that does not break": lambda n: f"{n[2:8]}\u2011{n[8:]}",
    "space that does not break": lambda n: f"{n[2:8]}\u00a0{n[8:]}",
    "soft hyphen inside": lambda n: f"{n[2:5]}\u00ad{n[5:8]}-{n[8:]}",
    "full width": lambda n: f"{n[2:8]}-{n[8:]}".translate({i: i + 0xFEE0 for i in (*range(48, 58), 45)}),
    "Arabic digits": lambda n: n.translate({48 + i: 0x660 + i for i in range(10)}),
}
BORN = date(1985, 7, 9)
numbers = st.builds(number, st.dates(date(1880, 1, 1), date(2024, 12, 31)), st.integers(1, 999), st.booleans())


def rule_of(text: str) -> str | None:
    finding = find_personal_data(text)
    return finding and finding.rule


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("coordination", [False, True])
def test_a_valid_number_is_found_in_every_writing(writing: str, coordination: bool) -> None:
    text = WRITINGS[writing](number(BORN, 238, coordination))
    rule = COORDINATION if coordination else PERSON
    assert rule_of(text) == rule
    assert rule_of(f"pnr:{text}, stulen cykel") == rule
    assert rule_of(f"Väster – {text}.") == rule


@given(numbers, st.sampled_from(sorted(WRITINGS)), st.text(max_size=12), st.text(max_size=12))
@settings(max_examples=400, deadline=None)
def test_every_valid_number_inside_other_text_is_found(digits: str, writing: str, before: str, after: str) -> None:
    text = f"{before}; {WRITINGS[writing](digits)} ;{after}"
    assert find_personal_data(text) is not None
    assert digits[-4:] not in mask(f"; {digits} ;")


@given(numbers, st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_a_wrong_check_digit_is_no_personal_number(digits: str, off: int) -> None:
    wrong = f"{digits[:-1]}{(int(digits[-1]) + off) % 10}"
    assert rule_of(f"{wrong[2:8]}-{wrong[8:]}") not in (PERSON, COORDINATION)
    assert rule_of(wrong) not in (PERSON, COORDINATION)


@pytest.mark.parametrize("nine", ["851309238", "850732238", "850230238", "850760238", "850792238", "230229238", "850700238"])
def test_a_day_that_does_not_exist_is_no_personal_number(nine: str) -> None:
    assert rule_of(f"{nine[:6]}-{nine[6:]}{check_digit(nine)}") is None


def test_a_longer_run_of_digits_is_no_personal_number() -> None:
    digits = number(BORN, 238)
    for text in (f"1{digits}", f"{digits}1", f"7{digits[2:]}", f"{digits[2:]}7", f"99{digits[2:]}"):
        assert rule_of(text) is None, text


@pytest.mark.parametrize(
    "text",
    ["anna@example.se", "se <anna.berg+polis@post.example.co.uk>", "mailto:a@b.se", "ÅSA.ÖST@exämple.se", "anna＠example.se",
     "x@xn--exmple-cua.xn--p1ai", "A_B-c@example.museum,", '"anna berg"@example.se', "@@anna@example.se"],
)  # fmt: skip
def test_an_e_mail_address_is_found(text: str) -> None:
    assert rule_of(text) == MAIL


@pytest.mark.parametrize("text", ["@", "a@b", "@example.se", "kl 12 @ torget", "a@1.2", "plats@ torget.se"])
def test_an_at_sign_alone_is_no_address(text: str) -> None:
    assert rule_of(text) is None


@pytest.mark.parametrize(
    "text",
    ["070-123 45 67", "0701234567", "070 123 45 67", "0701-23 45 67", "070-1234567", "070/123 45 67", "070.123.45.67",
     "+46 70 123 45 67", "+46701234567", "+46 (0)70-123 45 67", "+46-70-1234567", "(+46) 70 123 45 67", "0046701234567",
     "0046 70 123 45 67", "018-12 34 56", "(018) 12 34 56", "018123456", "08-12 34 56 78", "08-123 456 78", "0123-123 45",
     "+47 22 12 34 56", "+45 32 12 34 56", "+358 40 1234567", "+4930123456", "0047 22 12 34 56", "+1 212-555-0123",
     "070\u2013123\u00a045\u00a067", "０７０１２３４５６７", "+\u0664\u0666701234567"],
)  # fmt: skip
def test_a_telephone_number_is_found(text: str) -> None:
    assert rule_of(text) == TELEPHONE
    assert rule_of(f"Ring {text} efter 17") == TELEPHONE
    assert rule_of(f"tel:{text}, Åsgatan 3") == TELEPHONE


@pytest.mark.parametrize(
    "text", ["ABC123", "ABC 123", "ABC-123", "ABC12D", "ABC 12D", "abc123", "abc 123", "ＡＢＣ１２３", "XYZ 001", "ABC\u2013123"]
)
def test_a_vehicle_registration_number_is_found(text: str) -> None:
    assert rule_of(text) == PLATE


@pytest.mark.parametrize("text", ["stulen bil ABC 123.", "(ABC12D)", "regnr:ABC123", "Åby/ABC123/röd", "bil_ABC123_"])
def test_a_vehicle_registration_number_is_found_inside_text(text: str) -> None:
    assert rule_of(text) == PLATE


@pytest.mark.parametrize(
    "text",
    ["IBC123", "AQC123", "ABV123", "ÅBC123", "ABÖ123", "A\u030aBC123", "ABC12O", "ABC12I", "ABC1234", "AABC123", "ABC12",
     "ABC123D", "ABC000", "xABC 123", "ABC  123", "och 200 kr", "hus 12b, port 3", "K\u00f6pABC123"],
)  # fmt: skip
def test_what_only_resembles_a_plate_passes(text: str) -> None:
    assert rule_of(text) is None


CLEAN = [
    "", "e0000001", "e0123456", "e0123456789", "2024-000123", "2024-123456", "K-1234567-24", "K-0181234-56", "K-0027810-24",
    "K-01812345-24", "K-018123456", "0000012345", "0000001", "0123456", "00012345", "0012345678", "12345678", "123456789",
    "1", "0", "0380R001", "0380", "T001", "G1", "evt-001", "2024-11-23T12:34:56Z", "2024-11-23T12:34:56.850709+01:00",
    "2024-11-23T12:34:56.850709-2388", "20240102T850709+2388", "2024-11-23", "2024-07-01 12 34 56", "20240102030405",
    "17.8507092388",
    "2024-0703-000123", "0380-R0012", "59.858563", "-17.638926", "1700000000000", "+01:00", "1,234,567.00", "12:30-14:45",
    "556012-5790", "Storgatan 12, 753 20 Uppsala", "v. 47 2024", "sha:9f86d081884c7d65", "http://example.se/a/1",
    "\ud800", "\u0000", "\u200b", "\u0301",
]  # fmt: skip


@pytest.mark.parametrize("text", CLEAN)
def test_case_numbers_codes_and_times_pass(text: str) -> None:
    assert rule_of(text) is None
    assert mask(text) == text


case_numbers = st.one_of(
    st.integers(0, 999_999_999).map(str),
    st.integers(0, 9_999_999).map("{:07d}".format),
    st.integers(0, 9_999_999).map("e{:07d}".format),
    st.integers(0, 999_999).map("2024-{:06d}".format),
    st.integers(0, 9_999_999).map("K-{:07d}-24".format),
    st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat),  # noqa: DTZ001 (a bound has no zone)
)


@given(case_numbers)
@settings(max_examples=500, deadline=None)
def test_whole_families_of_case_numbers_pass(text: str) -> None:
    assert rule_of(text) is None


@given(st.uuids(), numbers)
def test_a_uuid_is_never_personal_data(value: uuid.UUID, digits: str) -> None:
    for one in (value, uuid.UUID(f"07012345-1234-4123-8123-{digits}"), uuid.UUID(f"{digits}{'a' * 20}")):
        for text in (str(one), str(one).upper(), one.hex, one.urn, f"polis-{one}"):
            assert rule_of(text) is None, text
        assert screen_values([str(one), one.hex, str(one)]) == {}


def test_the_finding_names_rule_and_place_and_the_first_comes_first() -> None:
    text = "Åsa \ufb01ck ABC 123 och ring 070-123\u00a045\u00a067 eller a@example.se"
    finding = find_personal_data(text)
    assert finding is not None
    assert (finding.rule, text[finding.start : finding.end]) == (PLATE, "ABC 123")
    assert mask(text) == f"Åsa \ufb01ck {REMOVED} och ring {REMOVED} eller {REMOVED}"


def test_each_rule_tells_the_supplier_in_one_line_what_and_the_way_out() -> None:
    assert set(RULE_TEXT) == {PERSON, COORDINATION, MAIL, TELEPHONE, PLATE}
    assert all("personal data" in text and "\n" not in text for text in RULE_TEXT.values())
    digits = number(BORN, 238)
    assert rule_of("0123456789") == TELEPHONE  # the ways out that the texts promise
    assert rule_of("K0123456789") is None
    assert rule_of("123456789") is None
    assert rule_of(f"{digits}0") is None
    assert rule_of("ABC0123") is None


pieces = st.one_of(
    st.text(max_size=8),
    st.text("0123456789 -+./()@", max_size=14),
    st.text("ABCabc019 -@.\n\u2013\u00a0\u00ad\uff10\u0661Å", max_size=12),
    st.sampled_from(["0701234567", "070-123 45 67", "ABC123", "a@b.se", "850709-2388", "+46", "e0000001", "2024-000123"]),
    st.uuids().map(str),
)
texts = st.lists(pieces, max_size=5).map("".join)


@given(texts)
@settings(max_examples=500, deadline=None)
def test_nothing_is_found_in_what_mask_gives_back(text: str) -> None:
    masked = mask(text)
    assert find_personal_data(masked) is None
    assert (masked == text) == (find_personal_data(text) is None)


@given(st.lists(st.one_of(texts, st.text(), st.sampled_from(CLEAN)), max_size=12))
@settings(max_examples=400, deadline=None)
def test_screening_many_agrees_with_screening_each(values: list[str]) -> None:
    each = {i: finding.rule for i, value in enumerate(values) if (finding := find_personal_data(value))}
    assert screen_values(values) == each


@pytest.mark.parametrize(
    "unit", ["7", "0", "1 ", "0 ", "01 ", "01-", "1.", ". ", "a", "a@", "@", "a.", "A1", "ABC", "+1 ", "\uff11 ", "850709-"]
)
def test_a_hundred_thousand_characters_take_no_more_than_their_share_of_time(unit: str) -> None:
    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        begun = time.process_time()
        find_personal_data(text)
        return time.process_time() - begun

    # Ten times the length may take ten times the time, not a hundred; the small constant is the clock's grain.
    assert seconds(100_000) < 40 * min(seconds(10_000) for _ in range(3)) + 0.05


def test_dates_through_the_years_are_all_found() -> None:
    for days in range(0, 40_000, 97):
        digits = number(date(1900, 1, 1) + timedelta(days), 1 + days % 999)
        assert screen_values([digits, "e0000001", digits[2:]]) == {0: PERSON, 2: PERSON}, digits
