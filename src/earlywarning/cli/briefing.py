"""`earlywarning briefing`: the situational picture of a week as files, and into the outbox."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from earlywarning.briefing import Audience, Briefing, briefing_messages, make_briefing, render_html, render_mail, render_pdf
from earlywarning.briefing.messages import Addressee
from earlywarning.cli.place import OperatorError, load
from earlywarning.core.calendar import LocalCalendar, date_of
from earlywarning.core.iso_week import Week, parse_week, week_of
from earlywarning.locale import Language
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.store import Store
from earlywarning.store.outbox import Outbox

FORMATS = ("html", "pdf", "json", "mail")


def write_briefing(
    settings_file: Path | None,
    week_text: str,
    out: Path,
    forms: str,
    wanted: Language | None,
    audience: Audience,
    send: bool,
    to: Sequence[str],
) -> None:
    """Make the picture and write it; say which files were written."""
    chosen = [form.strip() for form in forms.split(",") if form.strip()]
    if unknown := [form for form in chosen if form not in FORMATS]:
        raise OperatorError(f"--format: {unknown[0]!r} is not known; it is some of {','.join(FORMATS)}")
    addressees = _addressees(send, to)
    week = parse_week(week_text) if week_text else None
    settings = load(settings_file)
    language = wanted or settings.municipality.language
    register, tree = area_register(settings), category_tree(settings)
    calendar = LocalCalendar(settings.municipality.timezone)
    with Store.open(settings.store_url, writer=send, holder="earlywarning briefing --send") as store:
        made = make_briefing(
            store, settings, register, tree, calendar, week or _newest(store, register.municipality), language, audience,
            day_kinds=day_calendar(settings),
        )  # fmt: skip
        for path in _written(made, out, chosen):
            print(path)
        if send:
            store.commit(None, also=[Outbox(store).put(briefing_messages(made, addressees, datetime.now(UTC)))])
            print(f"{len(addressees)} in the outbox: {', '.join(to)}")


def _addressees(send: bool, to: Sequence[str]) -> list[Addressee]:
    if send != bool(to):
        raise OperatorError("--send puts the picture into the outbox; name who gets it, such as --send --to mail/group")
    pairs = [one.partition("/") for one in to]
    if wrong := [one for one, pair in zip(to, pairs, strict=True) if not all(pair)]:
        raise OperatorError(f"--to {wrong[0]!r}: write channel/recipient, as they are named in the settings, such as mail/group")
    return [Addressee(channel, recipient) for channel, _, recipient in pairs]


def _newest(store: Store, municipality: str) -> Week:
    """The newest week that is over for the store."""
    state = store.engine_state(municipality)
    if state is None:
        raise OperatorError("the store holds nothing yet; name a week with --week, such as --week 2026-W12")
    return week_of(date_of(state[0]) - timedelta(days=6))


def _written(made: Briefing, out: Path, forms: Sequence[str]) -> list[Path]:
    name = f"briefing-{made.municipality}-{made.week}-{made.language}" + ("-outside" if made.audience == "outside" else "")
    files: dict[Path, bytes] = {}
    if "html" in forms:
        files[out / f"{name}.html"] = render_html(made).encode()
    if "pdf" in forms:
        files[out / f"{name}.pdf"] = render_pdf(made)
    if "json" in forms:
        files[out / f"{name}.json"] = msgspec.json.format(msgspec.json.encode(made), indent=1)
    if "mail" in forms:
        mail = render_mail(made)
        files[out / f"{name}-mail.html"] = mail.html.encode()
        files[out / f"{name}-mail.txt"] = f"{mail.subject}\n\n{mail.text}".encode()
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            path.write_bytes(content)
    except OSError as error:
        raise OperatorError(
            f"{error.filename or out} cannot be written ({error.strerror}); choose another folder with --out"
        ) from error
    return list(files)
