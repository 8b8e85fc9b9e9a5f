"""`earlywarning briefing`: the situational picture of a week as files, and into the outbox."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from earlywarning.briefing import Audience, Briefing, briefing_messages, render_html, render_mail, render_pdf
from earlywarning.briefing.messages import Addressee
from earlywarning.cli.place import OperatorError, load
from earlywarning.cli.service_call import ask
from earlywarning.core.calendar import date_of
from earlywarning.core.iso_week import Week, parse_week, week_of
from earlywarning.locale import Language
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.weekly_picture import weekly_picture
from earlywarning.settings import Settings
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
    service: str,
    token_file: Path | None = None,
) -> None:
    """Make the picture and write it; say which files were written."""
    chosen = [form.strip() for form in forms.split(",") if form.strip()]
    if unknown := [form for form in chosen if form not in FORMATS]:
        raise OperatorError(f"--format: {unknown[0]!r} is not known; it is some of {','.join(FORMATS)}")
    week = parse_week(week_text) if week_text else None
    settings = load(settings_file)
    readers = _readers(settings, send, to)
    if service:
        _sent_by(service, token_file, week, sorted(readers))
        return
    language = wanted or settings.municipality.language
    register, tree = area_register(settings), category_tree(settings)
    with Store.open(settings.store_url, writer=send, holder="earlywarning briefing --send") as store:
        chosen_week = week or _newest(store, register.municipality)
        made = {language: weekly_picture(store, settings, register, tree, chosen_week, language, audience)}
        for path in _written(made[language], out, chosen):
            print(path)
        for spoken in sorted({spoken for _, spoken in readers.values()}):
            if spoken not in made:
                made[spoken] = weekly_picture(store, settings, register, tree, chosen_week, spoken, audience)
            to_them = [Addressee(channel, name) for name, (channel, own) in readers.items() if own == spoken]
            store.commit(None, also=[Outbox(store).put(briefing_messages(made[spoken], to_them, datetime.now(UTC)))])
        if send:
            print(f"{len(readers)} in the outbox: {', '.join(readers)}")


def _readers(settings: Settings, send: bool, to: Sequence[str]) -> dict[str, tuple[str, Language]]:
    """Who gets it: by name, their channel and language; those that are named, else those of the settings that want it."""
    if to and not send:
        raise OperatorError("--to names who gets it; add --send")
    if not send:
        return {}
    known = settings.recipients
    if unknown := [name for name in to if name not in known]:
        raise OperatorError(
            f"--to {unknown[0]!r}: there is no such recipient in the settings; there are: {', '.join(known) or 'none'}"
        )
    names = list(to) or [name for name, r in known.items() if r.briefing]
    if not names:
        raise OperatorError("nobody wants the picture: set briefing = true for a recipient in the settings, or name one with --to")
    return {name: (known[name].channel, known[name].language or settings.municipality.language) for name in names}


def _sent_by(service: str, token_file: Path | None, week: Week | None, names: Sequence[str]) -> None:
    """Have a running service send it, which holds the store."""
    body = msgspec.json.encode({"to": list(names), "week": str(week) if week else ""})
    status, said = ask(service, "/v1/briefing/send", token_file, content=body, patience=120)
    if status != 202:
        raise OperatorError(str(said.get("problem", status)))
    print(f"week {said['week']} in the outbox: {', '.join(said['to'])}")


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
