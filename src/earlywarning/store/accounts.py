"""Keeps who may come in: accounts, sessions and tokens. Of every secret only a hash is kept.

The writer's lock does not guard these tables: a command makes accounts while the service runs.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

import msgspec
import sqlalchemy as sa

from earlywarning.core.roles import ROLES, Role
from earlywarning.store import tables as t
from earlywarning.store.cases import AuditEntry
from earlywarning.store.store import Store

Use = Literal["events", "reading", "coordinator", "analyst", "administrator"]
USES: tuple[Use, ...] = ("events", "reading", "coordinator", "analyst", "administrator")
_SEEN_EVERY = timedelta(minutes=1)  # a session's last use is kept to the minute, so that reading seldom writes


AccountRule = Literal["account-name", "token-name", "source-name", "role", "area", "source-use"]


class AccountError(RuntimeError):
    """Something about an account or token that the administrator must put right; says how. value: what was not there."""

    def __init__(self, rule: AccountRule, problem: str, value: str = "") -> None:
        self.rule, self.value = rule, value
        super().__init__(problem)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A person's account. districts: codes of areas that it is limited to; none: the whole municipality."""

    municipality: str
    name: str
    role: Role
    districts: tuple[str, ...] = ()
    password_hash: str | None = None
    created_at: datetime
    disabled_at: datetime | None = None
    waits_until: datetime | None = None  # its set-up link works until then


class Token(msgspec.Struct, frozen=True):
    """A token of a supplier (use "events"), of a program that reads, or of one that may what a role may; without the token itself.

    source: the only source whose events it may send, None for all.
    """

    name: str
    use: Use
    created_at: datetime
    revoked_at: datetime | None
    source: str | None = None

    @property
    def role(self) -> Role | None:
        """What its bearer may do besides sending events."""
        if self.use == "events":
            return None
        return "reader" if self.use == "reading" else self.use


_TOKEN = tuple(t.tokens.c[field] for field in Token.__struct_fields__)


def digest(secret: str) -> str:
    """What is kept of a secret that is 256 random bits: no salt is needed."""
    return sha256(secret.encode()).hexdigest()


class Accounts:
    """The accounts of one municipality in a store."""

    def __init__(self, store: Store, municipality: str) -> None:
        self._store, self._own = store, municipality

    # ---- accounts -------------------------------------------------------------------------------------------------

    def add(self, name: str, role: Role, districts: Sequence[str], now: datetime, hours: int) -> str:
        """Make an account, or give one a new role and a new set-up link; its sessions end. Returns the link's secret.

        Raises AccountError for a name or role that is not allowed.
        """
        _check_name("account-name", name, "an account's name", 80)
        if role not in ROLES:
            raise AccountError("role", f"{role!r} is no role; roles are {', '.join(ROLES)}")
        secret = secrets.token_urlsafe(32)
        row = {
            "municipality": self._own, "name": name, "role": role, "districts": msgspec.json.encode(list(districts)).decode(),
            "password_hash": None, "set_up_hash": digest(secret), "set_up_until": now + timedelta(hours=hours),
            "created_at": now, "disabled_at": None,
        }  # fmt: skip
        with self._store.aside() as c:
            self._store.upsert(c, t.accounts, [row])
            c.execute(sa.delete(t.sessions).where(*self._of(t.sessions, name)))
            self._note(c, now, "account-added", name, f"{role} {' '.join(districts)}".strip())
        return secret

    def disable(self, name: str, now: datetime) -> bool:
        """Let an account in no more, from this moment; False when there is none of that name."""
        with self._store.aside() as c:
            values = {"disabled_at": now, "set_up_hash": None, "set_up_until": None}
            found = c.execute(sa.update(t.accounts).where(*self._of(t.accounts, name)).values(**values)).rowcount
            c.execute(sa.delete(t.sessions).where(*self._of(t.sessions, name)))
            if found:
                self._note(c, now, "account-disabled", name)
        return bool(found)

    def account(self, name: str) -> Account | None:
        """One account, None when there is none of that name."""
        with self._store.reading() as c:
            row = c.execute(sa.select(t.accounts).where(*self._of(t.accounts, name))).mappings().first()
        return None if row is None else _account(row)

    def every(self) -> list[Account]:
        """All accounts, by name."""
        query = sa.select(t.accounts).where(t.accounts.c.municipality == self._own).order_by(t.accounts.c.name)
        with self._store.reading() as c:
            return [_account(row) for row in c.execute(query).mappings()]

    def of_set_up(self, secret: str, now: datetime) -> Account | None:
        """The account of a set-up link that still works."""
        a = t.accounts.c
        query = sa.select(t.accounts).where(
            a.municipality == self._own, a.set_up_hash == digest(secret), a.set_up_until > now, a.disabled_at.is_(None)
        )
        with self._store.reading() as c:
            row = c.execute(query).mappings().first()
        return None if row is None else _account(row)

    def set_password(self, secret: str, password_hash: str, now: datetime) -> Account | None:
        """Keep a password's hash; the link that allowed it works no more. None when it did not work."""
        a = t.accounts.c
        with self._store.aside() as c:
            ours = (a.municipality == self._own, a.set_up_hash == digest(secret), a.set_up_until > now, a.disabled_at.is_(None))
            row = c.execute(sa.select(t.accounts).where(*ours)).mappings().first()
            if row is None:
                return None
            values = {"password_hash": password_hash, "set_up_hash": None, "set_up_until": None}
            c.execute(sa.update(t.accounts).where(*ours).values(**values))
            c.execute(sa.delete(t.sessions).where(*self._of(t.sessions, row["name"])))
            self._note(c, now, "password-set", row["name"])
        return self.account(row["name"])

    # ---- sessions -------------------------------------------------------------------------------------------------

    def begin(self, name: str, now: datetime) -> str:
        """Sign an account in; returns what the cookie holds."""
        secret = secrets.token_urlsafe(32)
        row = {"session_hash": digest(secret), "municipality": self._own, "name": name, "begun_at": now, "seen_at": now}
        with self._store.aside() as c:
            c.execute(t.sessions.insert().values(**row))
            self._note(c, now, "signed-in", name)
        return secret

    def of_session(self, secret: str, now: datetime, idle: timedelta, longest: timedelta) -> Account | None:
        """Whose session a cookie is; None when it has ended."""
        s, a = t.sessions.c, t.accounts.c
        joined = sa.and_(a.municipality == s.municipality, a.name == s.name)
        query = (
            sa.select(t.accounts, s.seen_at)
            .join(t.sessions, joined)
            .where(s.session_hash == digest(secret), s.municipality == self._own, a.disabled_at.is_(None))
            .where(s.seen_at > now - idle, s.begun_at > now - longest)
        )
        with self._store.reading() as c:
            row = c.execute(query).mappings().first()
        if row is None:
            return None
        if now - row["seen_at"] > _SEEN_EVERY:
            with self._store.aside() as c:
                c.execute(sa.update(t.sessions).where(s.session_hash == digest(secret)).values(seen_at=now))
        return _account(row)

    def end(self, secret: str) -> None:
        """Sign out."""
        with self._store.aside() as c:
            c.execute(sa.delete(t.sessions).where(t.sessions.c.session_hash == digest(secret)))

    def sweep(self, now: datetime, longest: timedelta) -> None:
        """Forget sessions that have ended by their length."""
        with self._store.aside() as c:
            c.execute(sa.delete(t.sessions).where(t.sessions.c.begun_at < now - longest))

    def refused(self, name: str, now: datetime) -> None:
        """Note a wrong password in the audit log. A name that is no account's may be a mistyped password: it is not kept."""
        known = self.account(name) is not None
        with self._store.aside() as c:
            self._note(c, now, "sign-in-refused", name if known else "unknown")

    # ---- tokens ---------------------------------------------------------------------------------------------------

    def add_token(self, name: str, use: Use, now: datetime, source: str = "") -> str:
        """Make a token; returns it, which is the only time that it is shown. source: whose events alone it may send.

        Raises AccountError.
        """
        _check_name("token-name", name, "a token's name", 80)
        if source:
            _check_name("source-name", source, "a source", 64)
            if use != "events":
                raise AccountError("source-use", "only a token that sends events is bound to a source")
        secret = f"ew_{secrets.token_urlsafe(32)}"
        row = {"token_hash": digest(secret), "municipality": self._own, "name": name, "use": use, "created_at": now,
               "source": source or None}  # fmt: skip
        with self._store.aside() as c:
            c.execute(t.tokens.insert().values(**row))
            self._note(c, now, "token-added", name, f"{use} {source}".strip())
        return secret

    def revoke_tokens(self, name: str, now: datetime) -> int:
        """Let the tokens of that name in no more; returns how many there were."""
        k = t.tokens.c
        with self._store.aside() as c:
            query = sa.update(t.tokens).where(*self._of(t.tokens, name), k.revoked_at.is_(None)).values(revoked_at=now)
            found = int(c.execute(query).rowcount)
            if found:
                self._note(c, now, "token-revoked", name)
        return found

    def of_token(self, secret: str) -> Token | None:
        """The token that a request carries; None when it is not, or no longer, valid."""
        k = t.tokens.c
        query = sa.select(*_TOKEN).where(k.token_hash == digest(secret), k.municipality == self._own, k.revoked_at.is_(None))
        with self._store.reading() as c:
            row = c.execute(query).first()
        return None if row is None else Token(*row)

    def tokens(self) -> list[Token]:
        """All tokens, by name."""
        k = t.tokens.c
        query = sa.select(*_TOKEN).where(k.municipality == self._own).order_by(k.name, k.created_at)
        with self._store.reading() as c:
            return [Token(*row) for row in c.execute(query)]

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _of(self, table: sa.Table, name: str) -> tuple[sa.ColumnElement[bool], ...]:
        return (table.c.municipality == self._own, table.c.name == name)

    def _note(self, c: sa.Connection, now: datetime, action: str, name: str, note: str = "") -> None:
        entry = AuditEntry(self._own, now, name, action, f"account:{name}", "", note)
        c.execute(t.audit.insert().values(**entry._asdict()))


def _check_name(rule: AccountRule, name: str, what: str, longest: int) -> None:
    if not 0 < len(name) <= longest or name != name.strip() or not name.isprintable():
        raise AccountError(rule, f"{what} has 1 to {longest} printable characters, without spaces around it")


def _account(row: sa.RowMapping) -> Account:
    return Account(
        municipality=row["municipality"], name=row["name"], role=row["role"],
        districts=tuple(msgspec.json.decode(row["districts"], type=list[str])), password_hash=row["password_hash"],
        created_at=row["created_at"], disabled_at=row["disabled_at"], waits_until=row["set_up_until"],
    )  # fmt: skip
