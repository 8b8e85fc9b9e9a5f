"""Drafts and versions of settings are kept with who, when and why, on both databases; who comes second is told so."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from earlywarning.core.settings_draft import Decision, Draft, DraftError, begun, revised, withdrawn
from earlywarning.store import Store, StoreError, opening
from earlywarning.store.cases import Cases
from earlywarning.store.settings_drafts import Drafts
from earlywarning.store.settings_versions import SettingsVersions

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
IN_FORCE = {"detection.min_count": 3, "detection.windows": [1, 7]}


def draft(store: Store, wanted: dict[str, object] | None = None) -> Draft:
    return Drafts(store, "0380").add(begun("0380", wanted or {"detection.min_count": 4}, IN_FORCE, 1, "brus", "eva", AT))


def test_a_draft_is_kept_with_its_number_and_only_for_its_municipality(store: Store) -> None:
    one, two = draft(store), draft(store, {"detection.windows": [7]})
    drafts = Drafts(store, "0380")
    assert [d.draft_id for d in drafts.every()] == [two.draft_id, one.draft_id] == [2, 1]
    assert drafts.get(1) == one
    assert (drafts.get(9), Drafts(store, "0381").get(1), Drafts(store, "0381").every()) == (None, None, [])
    told = [(e.action, e.actor, e.subject, e.note) for e in Cases(store).audit("0380")]
    assert told == [("settings-draft", "eva", "draft/2", "brus"), ("settings-draft", "eva", "draft/1", "brus")]


def test_of_two_who_change_a_draft_the_second_is_told(store: Store) -> None:
    made = draft(store)
    drafts = Drafts(store, "0380")
    first = revised(made, {"detection.min_count": 5}, IN_FORCE, 1, "så", "bo", AT)
    drafts.replace(first)
    with pytest.raises(DraftError) as caught:
        drafts.replace(withdrawn(made, "eva", AT))
    assert caught.value.rule == "stale"
    assert drafts.get(1) == first
    assert len(Cases(store).audit("0380")) == 2
    drafts.replace(withdrawn(first, "eva", AT))
    assert drafts.every(("draft",)) == []


def test_a_version_says_who_and_why_and_settles_its_draft(store: Store) -> None:
    made = draft(store)
    versions = SettingsVersions(store, "0380")
    versions.add("aaaaaaaaaaaa", "a = 1", AT)
    decision = Decision(actor="bo", reason="brus", draft_id=made.draft_id, revision=made.revision)
    number = versions.add("bbbbbbbbbbbb", "a = 2", AT + timedelta(days=1), decision)
    newest = versions.newest()
    assert newest is not None
    assert (newest.number, newest.actor, newest.reason, newest.draft_id) == (number, "bo", "brus", made.draft_id)
    kept = Drafts(store, "0380").get(made.draft_id)
    assert kept is not None
    assert (kept.state, kept.number, kept.changed_by) == ("applied", number, "bo")
    # The same text once more, as the watcher of the file brings it, is nothing new and takes no name away.
    assert versions.add("bbbbbbbbbbbb", "a = 2", AT + timedelta(days=2)) == number
    assert [e.action for e in Cases(store).audit("0380")] == ["settings", "settings-draft"]
    assert SettingsVersions(store, "0381").newest() is None


def test_a_draft_that_was_changed_in_that_moment_stays_a_draft(store: Store) -> None:
    made = draft(store)
    later = revised(made, {"detection.min_count": 5}, IN_FORCE, 1, "så", "eva", AT)
    Drafts(store, "0380").replace(later)
    decision = Decision(actor="bo", reason="brus", draft_id=made.draft_id, revision=made.revision)
    SettingsVersions(store, "0380").add("bbbbbbbbbbbb", "a = 2", AT, decision)
    assert Drafts(store, "0380").get(made.draft_id) == later


def test_municipalities_in_one_store_have_versions_of_their_own(store: Store) -> None:
    for code in ("0380", "0381", "0380", "0381"):  # as a desk that starts again puts them in force
        SettingsVersions(store, code).add("aaaaaaaaaaaa", f"code = {code}", AT)
    assert [len(SettingsVersions(store, code).every()) for code in ("0380", "0381")] == [1, 1]


def test_the_log_of_settings_cannot_be_changed(store: Store) -> None:
    draft(store)
    with pytest.raises(StoreError, match="only ever added to"), store.writing() as c:
        c.execute(sa.text("update audit set actor = 'nobody'"))


def test_an_older_store_learns_whose_its_versions_were(url: str) -> None:
    engine = opening.make_engine(url, writer=True)
    config = Config()
    config.set_main_option("script_location", str(opening.Path(opening.__file__).parent / "migrations"))
    texts = {1: '[municipality]\ncode = "0380"\n', 2: "no TOML = = 1", 3: '[municipality]\ncode = "0381"\n'}
    with engine.connect() as c, c.begin():
        config.attributes["connection"] = c
        command.upgrade(config, "0004")
        for number, text in texts.items():
            at = AT.replace(tzinfo=None) if engine.dialect.name == "sqlite" else AT
            added = "insert into settings_versions (number, version, applied_at, text) values (:n, 'aaaaaaaaaaaa', :at, :text)"
            c.execute(sa.text(added), {"n": number, "at": at, "text": text})
    engine.dispose()
    with Store.open(url, writer=True) as store:
        (own,) = SettingsVersions(store, "0380").every()
        assert (own.number, own.text, own.actor, own.applied_at) == (1, texts[1], "", AT)
        assert [v[0] for v in store.settings_versions()] == [1, 2, 3]


def test_drafts_are_read_as_they_were_written(store: Store) -> None:
    made = draft(store, {"detection.windows": [1, 14]})
    again = Drafts(store, "0380").get(made.draft_id)
    assert msgspec.to_builtins(again) == msgspec.to_builtins(made)
