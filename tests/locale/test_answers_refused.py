"""Why answers, drafts of settings and accounts are refused, in both languages: every rule that the code knows has its words."""

from datetime import date
from typing import Any, get_args

import pytest

from earlywarning.core.casework import Action, AnswerError, AnswerRule, Picture, answer
from earlywarning.core.screening import PersonalRule
from earlywarning.core.settings_draft import DraftRule
from earlywarning.locale import LANGUAGES, Language
from earlywarning.locale.catalogue import catalogue
from earlywarning.locale.pages import page_texts
from earlywarning.locale.refused import answer_refusal, rule_name
from earlywarning.store.accounts import AccountRule
from tests.core.test_casework import CHAIN, MEASURE, PICTURE, said, through

OF_A_STAGE: dict[int, list[tuple[Action, dict[str, Any]]]] = {  # after so many steps of the chain: what is refused there
    0: [
        ("assess", {}), ("assess", {"assessment": "confirmed"}), ("assess", {"assessment": "confirmed", "reason": "chance"}),
        ("picture", {}), ("acknowledge", {"revision": 9}), ("acknowledge", {"note": "ring Eva, 070-174 06 05"}),
        ("merge", {}), ("merge", {"into": "1480-260312-0a1b2c3d"}),
    ],
    2: [
        ("picture", {}), ("picture", {"picture": Picture(target="skolan")}), ("close", {"reason": "assessed"}),
        ("close", {"reason": "acted-on"}), ("close", {}), ("close", {"reason": "chance"}),
    ],
    3: [("cause", {}), ("cause", {"cause": "moonlight"})],
    4: [
        ("measure", {**MEASURE, "answers": 2}), ("measure", {**MEASURE, "due": None}), ("measure", {**MEASURE, "what": " "}),
        ("measure", {**MEASURE, "owner": ""}), ("measure", {**MEASURE, "owner": "x" * 81}), ("measure", {**MEASURE, "goal": ""}),
        ("measure", {**MEASURE, "due": date(2020, 1, 1)}),
    ],
    5: [
        ("follow-up", {"measure": 7, "outcome": "done"}), ("follow-up", {"measure": 1}),
        ("follow-up", {"measure": 1, "outcome": "splendid"}), ("close", {"reason": "acted-on"}),
    ],
    7: [("reopen", {})],
}  # fmt: skip


def refused() -> set[tuple[str, str]]:
    """Rule and field of what the casework refuses."""
    found = set()
    cases = [(through(*CHAIN[:steps]), given) for steps, several in OF_A_STAGE.items() for given in several]
    cases.append((through(said("assess", assessment="false-alarm", reason="chance")), ("picture", {"picture": PICTURE})))
    for case, (action, fields) in cases:
        with pytest.raises(AnswerError) as caught:
            answer(case, said(action, **fields))
        found.add((caught.value.rule, caught.value.field))
    return found


def test_every_rule_of_answers_has_words_and_a_name_of_its_own_in_both_languages() -> None:
    rules = get_args(AnswerRule)
    told: dict[Language, list[str | None]] = {words: [answer_refusal(r, "", words) for r in rules] for words in LANGUAGES}
    assert [r for r, swedish, english in zip(rules, told["sv"], told["en"], strict=True) if not swedish or swedish == english] == []
    for words in LANGUAGES:
        assert len(set(told[words])) == len(rules) - len(get_args(PersonalRule)) + 1  # which say the same of any personal data
        assert [r for r in rules if rule_name(r, words) == r] == []


def test_what_is_refused_is_told_by_its_field_and_no_words_are_left_over() -> None:
    met = refused()
    of_the_store = {"unknown-alert", "ended"}  # which other alerts there are, the casework of one does not know
    personal = set(get_args(PersonalRule))
    assert {rule for rule, _ in met} - personal == set(get_args(AnswerRule)) - personal - of_the_store
    for words in LANGUAGES:
        known = set(catalogue(words)["refusal"])
        assert {key for key in known if "." in key} <= {f"{rule}.{field}" for rule, field in met}
        assert {key for key in known if "." not in key} - {"personal-data"} <= set(get_args(AnswerRule))
        assert answer_refusal("missing", "due", words) != answer_refusal("missing", "reason", words)


def test_every_rule_of_drafts_and_accounts_has_words_in_both_languages() -> None:
    for words in LANGUAGES:
        assert set(page_texts(words)["settings_problem"]) == set(get_args(DraftRule))
        assert set(page_texts(words)["account_problem"]) == set(get_args(AccountRule))
