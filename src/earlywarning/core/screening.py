"""Finds personal data in an event's texts before anything else sees them: numbers of persons, addresses, plates.

A finding names the rule and the place in the text, never the value. Patterns look first; the libraries `personnummer`
and `phonenumbers` have the last word. Where a case number cannot be told from a person's number, it is refused, and
`RULE_TEXT` tells the supplier the way out.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import phonenumbers
from personnummer import personnummer

PersonalRule = Literal[
    "personal-identity-number", "coordination-number", "e-mail-address", "telephone-number", "vehicle-registration-number"
]
_BY_CHANCE = "personal data is not taken (a case number that is one by chance: "
RULE_TEXT: Mapping[PersonalRule, str] = {
    "personal-identity-number": (
        "it reads as a personal identity number with a valid check digit; "
        f"{_BY_CHANCE}send a UUID, or write it with 13 or more digits in one run)"
    ),
    "coordination-number": (
        "it reads as a coordination number with a valid check digit; "
        f"{_BY_CHANCE}send a UUID, or write it with 13 or more digits in one run)"
    ),
    "e-mail-address": "it holds an e-mail address; personal data is not taken (leave the address out)",
    "telephone-number": (
        "it reads as a telephone number; "
        f"{_BY_CHANCE}send a UUID, leave out the leading 0 or +, or put a letter directly before it, as in K0123456789)"
    ),
    "vehicle-registration-number": (
        "it reads as a vehicle registration number; "
        f"{_BY_CHANCE}send a UUID, or write it with more letters or digits, as in ABC0123)"
    ),
}
REMOVED = "[personal data removed]"


class Finding(NamedTuple):
    """Where personal data stands (characters `start` to before `end`), and by which rule; never what it says."""

    rule: PersonalRule
    start: int
    end: int


# --- What each rule needs, as patterns on plain text (see `_plain`): ASCII digits, "-" for any dash, " " for any space.
# They hold as well on the shape of a text, where each digit 1-9 is written 1 and each letter a or i (see `_SHAPE`).
_JOIN = r"[ \t]{0,2}[-+]?[ \t]{0,2}"
_MONTH, _DAY = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[1-9][0-9])"  # days of coordination numbers are 61-91
# Not the time of a timestamp (05.123456-0500, T030405+0100), whose zone would be the last four digits.
_PERSON = (
    rf"(?<![0-9])(?<!:[0-9][0-9][.,])(?<![0-9]T)(?:[0-9]{{2}})?[0-9]{{2}}"
    rf"(?:{_MONTH}{_DAY}|[ .-]{_MONTH}[ .-]{_DAY}){_JOIN}[0-9]{{4}}(?![0-9])"
)
_GAP = r"[ \t()/.\-]"
_ABROAD = (
    rf"(?:(?<![0-9])\+[ (]?|(?<![^\W_])00(?=[1-9][0-9]{{0,2}}[ )]|[1-9]{{2}}(?:{_GAP}{{0,3}}[0-9]){{7}}))"
    rf"[1-9](?:{_GAP}{{0,3}}[0-9]){{6,15}}(?![0-9])"
)
# A number at home is an area code of 2-4 digits and then groups, or nine or ten digits in one run: shorter runs with a
# leading 0 are padded case numbers.
_AT_HOME = (
    rf"(?<![^\W_])(?<![0-9]\.)0[1-9](?:[0-9]{{7,8}}(?![0-9])"
    rf"|[0-9]{{0,2}}{_GAP}{{1,3}}[0-9](?:{_GAP}{{0,3}}[0-9]){{3,7}}(?![0-9]))"
)
_LETTER = "A-HJ-PR-UW-Za-hj-pr-uw-z"
# Never I, Q, V or a Swedish letter; the last place is a digit or a letter other than O.
_PLATE = rf"(?<![^\W_])[{_LETTER}]{{3}}[ \-]?[0-9]{{2}}[0-9{_LETTER}](?![^\W_])"

_PERSON_AT = re.compile(_PERSON)
_ABROAD_AT = re.compile(_ABROAD)
_AT_HOME_AT = re.compile(_AT_HOME)
_PLATE_AT = re.compile(_PLATE)
_LOCAL_PART = re.compile(r"[\w.!#$%&'*/=?^`{|}~+\"-]")
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,8}(?:xn--[\w-]{1,59}|[^\W\d_]{2,63})")
_NOT_DIGIT = re.compile(r"[^0-9]")
_DIGIT_END = re.compile(r"[0-9](?![0-9])")

_POSSIBLE = re.compile("|".join(["@", _PERSON, _ABROAD, _AT_HOME, _PLATE]).encode())
_SHAPE = bytes(
    ord("1") if chr(i) in "123456789" else i if not chr(i).isalpha() or i > 127 else ord("i" if chr(i) in "iqvIQV" else "a")
    for i in range(256)
)
_HEX = bytes(ord("h") if i < 128 and chr(i) in "0123456789abcdefABCDEF" else i for i in range(256))
_HEX_UUIDS = frozenset({b"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", b"h" * 32})
_UUID = re.compile(r"(?<![^\W_])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![^\W_])")
_BARE_UUID = re.compile(r"[0-9a-fA-F]{32}")
# Beyond these, writing may differ from what the patterns expect: other scripts' digits, wide letters, thin spaces.
_UNUSUAL = re.compile("[^\\x00-\\x7f\u00c0-\u00ff]")
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d")


def find_personal_data(text: str) -> Finding | None:
    """The finding that begins first in a text of any length and script, or None. Never raises."""
    plain, places = _plain(text)
    finding = min(_firsts(plain), key=lambda found: found.start, default=None)
    return finding and _in_original(finding, places)


def screen_values(values: Sequence[str]) -> dict[int, PersonalRule]:
    """Rules broken by those of many values that hold personal data, by place in `values`; agrees with
    `find_personal_data`. Values of one shape (e0000001, e0000002) are cleared by looking at the shape once."""
    found: dict[int, PersonalRule] = {}
    joined = "\n".join(values)
    if joined.isascii() and joined.count("\n") == len(values) - 1:
        usual: Sequence[int] = range(len(values))
    else:
        usual = [i for i, value in enumerate(values) if value.isascii() and "\n" not in value]
        apart = set(range(len(values))).difference(usual)
        found = {i: finding.rule for i in sorted(apart) if (finding := find_personal_data(values[i]))}
        joined = "\n".join([values[i] for i in usual])
    if not usual:
        return found
    raw = joined.encode("ascii")
    # Nearly every UUID has a shape of its own, so they are cleared before shapes are compared.
    if any(len(values[i]) in (32, 36) for i in usual[:64]):
        hexes = raw.translate(_HEX).split(b"\n")
        usual = [i for i, value in zip(usual, hexes, strict=True) if value not in _HEX_UUIDS]
        raw = "\n".join([values[i] for i in usual]).encode("ascii")
    shapes = raw.translate(_SHAPE).split(b"\n") if usual else []
    suspect = {shape for shape in set(shapes) if _POSSIBLE.search(shape)}
    if suspect:
        for index, shape in zip(usual, shapes, strict=True):
            if shape in suspect and (finding := find_personal_data(values[index])):
                found[index] = finding.rule
    return found


def mask(text: str) -> str:
    """The text with every finding replaced by `REMOVED`; nothing is found in what comes back."""
    # What stood hidden inside a finding's surroundings may come to light when it is taken out, hence the rounds.
    for _ in range(8):
        plain, places = _plain(text)
        spans = sorted(_in_original(finding, places)[1:] for finding in _all(plain))
        if not spans:
            return text
        parts, end = [text[: spans[0][0]]], 0
        for (start, stop), (following, _stop) in pairwise([*spans, (len(text), len(text))]):
            if start >= end:
                parts.append(REMOVED)
            end = max(end, stop)
            parts.append(text[end:following])
        text = "".join(parts)
    return REMOVED


def _plain(text: str) -> tuple[str, Sequence[int] | None]:
    """The text as the patterns read it, and for each of its characters the place in `text` (None: the same place)."""
    places: list[int] | None = None
    if _UNUSUAL.search(text):
        parts: list[str] = []
        places = []
        begin = 0
        for end in range(1, len(text) + 1):
            # A letter is read together with its accents: A and a ring are one Å, which no plate holds.
            if end < len(text) and unicodedata.category(text[end]) in ("Mn", "Me", "Cf"):
                continue
            part = _plain_character(text[begin:end])
            parts.append(part)
            places.extend([begin] * len(part))
            begin = end
        places.append(len(text))
        text = "".join(parts)
    if _BARE_UUID.fullmatch(text):
        return "", places
    if text.count("-") >= 4:
        text = _UUID.sub(lambda match: "\n" * len(match.group()), text)
    return text, places


def _plain_character(cluster: str) -> str:
    """One character with its accents, in the patterns' alphabet; nothing for what cannot be seen."""
    if cluster.isascii():
        return cluster
    read = []
    for character in unicodedata.normalize("NFKC", cluster):
        category = unicodedata.category(character)
        if category == "Nd":
            read.append(str(unicodedata.decimal(character)))
        elif character in _DASHES:
            read.append("-")
        elif category == "Zs":
            read.append(" ")
        elif category != "Cf" and not (category in ("Mn", "Me") and (not read or read[-1].isdecimal())):
            read.append(character)
    return "".join(read)


def _in_original(finding: Finding, places: Sequence[int] | None) -> Finding:
    if places is None:
        return finding
    start, end = places[finding.start], places[finding.end]
    # A character that is read as several (a circled 12) goes with the finding as a whole.
    after = finding.end
    while end == places[finding.end - 1]:
        after += 1
        end = places[after]
    return Finding(finding.rule, start, end)


def _firsts(plain: str) -> Iterator[Finding]:
    """The first finding of each rule that has one."""
    if _POSSIBLE.search(plain.encode("ascii", "replace").translate(_SHAPE)):
        for rule in (_persons, _mails, _telephones, _plates):
            if (finding := next(rule(plain), None)) is not None:
                yield finding


def _all(plain: str) -> Iterator[Finding]:
    """Every finding of every rule; those of different rules may overlap."""
    if _POSSIBLE.search(plain.encode("ascii", "replace").translate(_SHAPE)):
        for rule in (_persons, _mails, _telephones, _plates):
            yield from rule(plain)


def _persons(text: str) -> Iterator[Finding]:
    at = 0
    while match := _PERSON_AT.search(text, at):
        digits = _NOT_DIGIT.sub("", match.group())
        # A bare run after a decimal point is a fraction: 17.6389123456.
        fraction = match.group().isdecimal() and re.fullmatch(r"[0-9]\.", text[max(match.start() - 2, 0) : match.start()])
        # Without its century the date is tried in the 2000s, which have every day that the 1800s and 1900s have: so the
        # verdict does not hang on the library's clock.
        if len(digits) == 12:
            possible = digits[:2] in ("18", "19", "20")
        else:
            possible, digits = True, f"20{digits}"
        if possible and not fraction and personnummer.valid(digits):
            rule: PersonalRule = "coordination-number" if int(digits[6:8]) > 60 else "personal-identity-number"
            yield Finding(rule, *match.span())
            at = match.end()
        else:
            at = match.start() + 1


def _mails(text: str) -> Iterator[Finding]:
    at = text.find("@")
    while at >= 0:
        start = at
        while start > 0 and at - start < 64 and _LOCAL_PART.match(text, start - 1):
            start -= 1
        if start < at and (domain := _DOMAIN.match(text, at + 1)):
            yield Finding("e-mail-address", start, domain.end())
        at = text.find("@", at + 1)


def _telephones(text: str) -> Iterator[Finding]:
    for pattern, holds in ((_ABROAD_AT, _is_abroad), (_AT_HOME_AT, _is_at_home)):
        at = 0
        while match := pattern.search(text, at):
            at = match.start() + 1
            # More numbers may follow the telephone number: the longest that is one counts.
            ends = [end.end() for end in _DIGIT_END.finditer(text, match.start(), match.end())]
            for end in reversed(ends):
                if holds(text, match.start(), end):
                    yield Finding("telephone-number", match.start(), end)
                    at = end
                    break


def _is_abroad(text: str, start: int, end: int) -> bool:
    written = text[start:end]
    digits = _NOT_DIGIT.sub("", written).removeprefix("00")
    # With 00 instead of +, only Sweden's own code or a code that stands alone: 0012345678 is a padded case number.
    if not written.startswith("+") and not digits.startswith("46") and not re.match(r"00[1-9][0-9]{0,2}[ )]", written):
        return False
    return len(digits) >= 7 and _parsed(f"+{digits}") is not None


def _is_at_home(text: str, start: int, end: int) -> bool:
    written = text[start:end]
    digits = _NOT_DIGIT.sub("", written)
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    if len(digits) > 10 or len(digits) < (9 if written.isdecimal() else 8):
        return False
    if not written.isdecimal():
        code = re.match(r"[0-9]+", written)
        # 08 is the only area code of two digits; after a number and a dash it is a date or a case number that goes on.
        if (code and len(code.group()) == 2 and code.group() != "08") or re.fullmatch(r"[0-9][-/:]", before):
            return False
    # Part of a case number (K-012345678, 012345678-24, 012345678A): only what a mobile telephone has is taken for one.
    doubtful = re.search(r"[^\W_][-_]$|[0-9][/:]$|_$", before) or (written.isdecimal() and re.match(r"[-/._:]?[^\W_]|_", after))
    number = _parsed(digits)
    if number is None or number.country_code != 46:
        return False
    return not doubtful or phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE


def _parsed(digits: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(digits, "SE")
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def _plates(text: str) -> Iterator[Finding]:
    for match in _PLATE_AT.finditer(text):
        written = match.group()
        # "och 200" and "hus 12b" are words and numbers; a plate set apart by a space is written in capitals, or alone.
        apart = len(written) == 7 and not written.isupper() and written != text.strip()
        if not apart and written[-1] not in "oO" and written[-3:] != "000":
            yield Finding("vehicle-registration-number", *match.span())
