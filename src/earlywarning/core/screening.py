"""Finds personal data in an event's texts before anything else sees them: numbers of persons, addresses, plates.

A finding names the rule and the place in the text, never the value. Cheap patterns look first; the libraries
`personnummer` and `phonenumbers` have the last word.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import phonenumbers
from personnummer import personnummer

RULE_TEXT: Mapping[str, str] = {
    "personal-identity-number": (
        "it reads as a personal identity number with a valid check digit; personal data is not taken "
        "(a number that is one by chance: send a longer id, or put letters around it)"
    ),
    "coordination-number": (
        "it reads as a coordination number with a valid check digit; personal data is not taken "
        "(a number that is one by chance: send a longer id, or put letters around it)"
    ),
    "e-mail-address": "it holds an e-mail address; personal data is not taken",
    "telephone-number": (
        "it reads as a telephone number; personal data is not taken "
        "(a number that is one by chance: send it without the leading 0 or +, or put letters around it)"
    ),
    "vehicle-registration-number": (
        "it reads as a vehicle registration number; personal data is not taken "
        "(a code that is one by chance: send it with more digits)"
    ),
}


class Finding(NamedTuple):
    """Where personal data stands, and by which rule; never what it says."""

    rule: str
    start: int
    end: int


_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DASH = r"\-+\u2010-\u2015\u2212"
# Ten or twelve digits: a date, then four more, with the separators that people write.
_PERSON = re.compile(rf"(?<![0-9])(?:[0-9]{{2}})?[0-9]{{6}} ?[{_DASH}]? ?[0-9]{{4}}(?![0-9])")
_PERSON_SPACED = re.compile(
    rf"(?<![0-9])(?:[12][0-9])?[0-9]{{2}}[ .{_DASH}][01][0-9][ .{_DASH}][0-9]{{2}} ?[ .{_DASH}]? ?[0-9]{{4}}(?![0-9])"
)
_MAIL = re.compile(r"[\w.!#$%&'*/=?^`{|}~+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PHONE = re.compile(r"(?<![\w+])(?:\+|00|0)[1-9](?:[ ()/.\-\u2010-\u2015\u2212]{0,3}[0-9]){5,14}(?![0-9])")
# Three letters without I, Q, V and the Swedish ones, two digits, then a digit or a letter other than O.
_PLATE = re.compile(r"(?<![^\W_])[A-HJ-PR-UW-Z]{3}[ \-]?[0-9]{2}(?:[0-9]|[A-HJ-NPR-UW-Z])(?![^\W_])", re.IGNORECASE)
# What any finding needs: an at sign, ten digits, the beginning of a telephone number, or a plate.
_POSSIBLE = re.compile(
    rf"@|[0-9](?:[ .{_DASH}]{{0,3}}[0-9]){{9}}|(?<![\w+])(?:\+|0)[0-9]|"
    r"(?<![^\W_])[A-HJ-PR-UW-Za-hj-pr-uw-z]{3}[ \-]?[0-9]{2}[0-9A-Za-z](?![^\W_])"
)
# Texts of these shapes break no rule: whole numbers, letters with a running number, codes of letters.
_PLAIN = re.compile(r"[1-9][0-9]{0,8}|[A-Za-z]{1,12}[0-9]{4,9}|[A-Za-z_]{4,40}-[1-9][0-9]{0,8}|[A-Za-z_]+")
_LONGEST = 4096


def find_personal_data(text: str) -> Finding | None:
    """The first finding in a text of any length, or None. Unicode digits and widths are read as plain ones."""
    if _PLAIN.fullmatch(text):
        return None
    if not text.isascii():
        plain = unicodedata.normalize("NFKC", text)
        # Digits of other scripts are digits to a reader, and to the rules.
        plain = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in plain)
        plain = plain.replace("\u00ad", "").replace("\u200b", "")
    else:
        plain = text
    if not _POSSIBLE.search(plain) or _UUID.fullmatch(plain):
        return None
    for begin in range(0, max(len(plain), 1), _LONGEST // 2):
        piece = plain[begin : begin + _LONGEST]
        found = _find(piece)
        if found:
            if plain is not text and len(plain) != len(text):
                return Finding(found.rule, 0, len(text))  # places differ: the whole text is the finding
            return Finding(found.rule, found.start + begin, found.end + begin)
    return None


def _find(text: str) -> Finding | None:
    if "@" in text and (mail := _MAIL.search(text)):
        return Finding("e-mail-address", *mail.span())
    for pattern in (_PERSON, _PERSON_SPACED):
        at = 0
        while match := pattern.search(text, at):
            if rule := _person_rule(match.group()):
                return Finding(rule, *match.span())
            at = match.start() + 1
    for match in _PHONE.finditer(text):
        if _is_phone(match.group()):
            return Finding("telephone-number", *match.span())
    if plate := _PLATE.search(text):
        return Finding("vehicle-registration-number", *plate.span())
    return None


def _person_rule(text: str) -> str | None:
    plus = "+" in text
    digits = re.sub(r"[^0-9]", "", text)
    if len(digits) == 12 and digits[:2] not in ("18", "19", "20"):
        return None
    written = f"{digits[:-4]}{'+' if plus and len(digits) == 10 else '-'}{digits[-4:]}"
    if not personnummer.valid(written):
        return None
    return "coordination-number" if int(digits[-6:-4]) > 60 else "personal-identity-number"


def _is_phone(text: str) -> bool:
    digits = re.sub(r"[^0-9+]", "", text)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    try:
        number = phonenumbers.parse(digits, "SE")
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number)


def screen_values(values: Sequence[str]) -> dict[int, str]:
    """Rules broken by those of many values that hold personal data, by place in `values`."""
    joined = "\n".join(values)
    suspects = _suspects(joined, values) if joined.isascii() else range(len(values))
    found = {}
    for index in suspects:
        finding = find_personal_data(values[index])
        if finding:
            found[index] = finding.rule
    return found


def _suspects(joined: str, values: Sequence[str]) -> Iterable[int]:
    """Values that one pattern over all of them at once does not clear."""
    if joined.count("\n") != len(values) - 1:
        return range(len(values))
    plain = _PLAIN.fullmatch
    rest = [i for i, value in enumerate(values) if not plain(value)]
    if not rest:
        return ()
    places = [match.start() for match in _POSSIBLE.finditer("\n".join([values[i] for i in rest]))]
    if not places:
        return ()
    ends = list(accumulate(len(values[i]) + 1 for i in rest))
    return sorted({rest[bisect_right(ends, place)] for place in places})


def mask(text: str) -> str:
    """The text with every finding replaced; nothing is found in what comes back."""
    for _ in range(100):
        finding = find_personal_data(text)
        if not finding:
            return text
        text = f"{text[: finding.start]}[personal data removed]{text[finding.end :]}"
    return "[personal data removed]"
