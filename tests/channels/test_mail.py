"""Mail as a mail server gets it: readable with and without HTML, pictures inside, safe headers, refusals told apart."""

import re
from collections.abc import Callable
from datetime import date
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest

from earlywarning.channels import Addressee, Contents
from earlywarning.core.outgoing import BriefingContent, DigestContent, LedTo, ReporterContent
from earlywarning.locale import Language
from earlywarning.settings_channels import EmailChannel
from tests.channels.conftest import Post
from tests.channels.messages import ADDRESSES, CODE, TOWN, a_test, alert, content, message
from tests.channels.receivers import MailReceiver, until

Mailbox = tuple[MailReceiver, int]
Channel = Callable[..., EmailChannel]
LINKS = {
    "open": "https://est.example/alerts/1?t=a&b",
    "acknowledge": "https://est.example/a/ack",
    "false-alarm": "https://est.example/a/fa",
}


def parts(mail: EmailMessage) -> tuple[str, str, list[EmailMessage]]:
    """Plain text, HTML and pictures."""
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    text = plain.get_content().replace("\r\n", "\n")
    return text, html.get_content(), [p for p in mail.walk() if p.get_content_type() == "image/png"]  # type: ignore[misc]


def test_an_alert_is_a_mail_with_text_html_and_its_series_as_a_picture(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    post.put(message(1, content(1, links=LINKS), channel="mail", key="k1"))
    post.start(mail=mail())
    until(lambda: post.states() == ["delivered"])
    got = mailbox[0].mails[0]
    assert got["From"] == "Lägesbild <est@testby.example>"
    assert (got["To"], got["X-Envelope-To"]) == ("est@testby.example", "est@testby.example")
    assert got["Subject"] == "Ny varning: Gåsöga östra: klotter"
    assert (got["Message-ID"], got["X-Earlywarning-Key"]) == ("<k1@testby.example>", "k1")
    assert (got["Auto-Submitted"], got["Content-Language"]) == ("auto-generated", "sv")
    assert [p.get_content_type() for p in got.walk()] == [
        "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"
    ]  # fmt: skip
    plain, html, (picture,) = parts(got)
    assert "I Gåsöga östra registrerades 14 händelser i kategorin klotter" in plain
    assert "Kvittera:\nhttps://est.example/a/ack" in plain
    assert 'href="https://est.example/alerts/1?t=a&amp;b">Öppna varningen</a>' in html
    assert html.count('class="button') == 3
    assert "Du får detta som mottagaren group i tjänsten för tidig varning, Testby." in html
    assert picture.get_content().startswith(b"\x89PNG")
    assert picture["Content-Disposition"].startswith("inline")
    assert f'src="cid:{picture["Content-ID"][1:-1]}"' in html
    (alt,) = re.findall(r'alt="([^"]+)"', html)
    assert alt.startswith("Diagram: 14 händelser måndag 6 april–söndag 12 april 2026, flest på en dag: 5.")
    assert alt in plain


@pytest.mark.parametrize(("language", "words"), [("sv", "fler anmälningar än väntat"), ("en", "more reports than expected")])
def test_mails_speak_the_recipients_language_with_the_words_of_the_field(
    post: Post, mailbox: Mailbox, mail: Channel, language: Language, words: str
) -> None:
    post.put(message(1, channel="mail", language=language))
    post.start(mail=mail())
    until(lambda: mailbox[0].mails)
    plain, html, _ = parts(mailbox[0].mails[0])
    assert words in plain.lower()
    assert f'<html lang="{language}">' in html
    assert "brottslighet" not in html + plain
    assert "risk" not in (html + plain).lower()


def test_repetitions_are_the_same_mail(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    post.put(message(1, channel="mail", key="k1"))
    mailbox[0].refuse_data = "451 try later"
    post.start(mail=mail(attempts=1000))
    until(lambda: post.all()[0].attempts > 1)
    mailbox[0].refuse_data = ""
    until(lambda: post.states() == ["delivered"])
    assert mailbox[0].mails[0]["Message-ID"] == "<k1@testby.example>"


def test_mails_about_one_alert_stand_together(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    post.put(message(1, channel="mail", key="a"), message(1, content(1, "settled"), channel="mail", key="b"))
    post.start(mail=mail())
    until(lambda: len(mailbox[0].mails) == 2)
    assert mailbox[0].mails[0]["References"] == mailbox[0].mails[1]["References"] == f"<{CODE}-20260412-1.alert@testby.example>"


def test_an_escalation_says_since_when_and_is_important(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    waiting = content(1, links=LINKS, waiting_since=alert().opened_at)
    post.put(message(1, waiting, channel="mail", kind="escalation"))
    post.start(mail=mail())
    until(lambda: mailbox[0].mails)
    got = mailbox[0].mails[0]
    assert got["Subject"] == "Väntar på svar: Gåsöga östra: klotter"
    assert got["Importance"] == "high"
    assert "Ingen har svarat på varningen sedan söndag 12 april 11:00." in parts(got)[0]


def test_a_digest_holds_all_alerts_each_with_its_picture(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    body = DigestContent(first_day=date(2026, 4, 6), last_day=date(2026, 4, 12), alerts=[content(i) for i in range(1, 4)])
    empty = DigestContent(first_day=date(2026, 4, 6), last_day=date(2026, 4, 12), alerts=[])
    post.put(message(1, body, channel="mail", kind="digest"), message(2, empty, channel="mail", kind="digest"))
    post.start(mail=mail())
    until(lambda: len(mailbox[0].mails) == 2)
    full, none = mailbox[0].mails
    assert full["Subject"] == "3 varningar, måndag 6 april–söndag 12 april 2026"
    assert len(parts(full)[2]) == 3
    assert len(set(re.findall(r'src="cid:([^"]+)"', parts(full)[1]))) == 3
    assert "Inga varningar att ta upp" in parts(none)[0]


def test_reporters_get_a_receipt_and_hear_what_it_led_to(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    period = {"source": "Skolan", "first_day": date(2026, 4, 6), "last_day": date(2026, 4, 12), "accepted": 7, "rejected": 1}
    led = [LedTo(alert(), "measure", ["Bättre belysning", "Vuxna på plats"])]
    post.put(
        message(1, ReporterContent(**period), channel="mail", kind="receipt"),
        message(2, ReporterContent(**period, led_to=led), channel="mail", kind="led-to"),
        message(3, ReporterContent(**period), channel="mail", kind="led-to"),
    )
    post.start(mail=mail())
    until(lambda: len(mailbox[0].mails) == 3)
    receipt, led_to, nothing = (parts(m)[0] for m in mailbox[0].mails)
    assert "Skolan: 7 uppgifter togs emot måndag 6 april–söndag 12 april 2026." in receipt
    assert "1 uppgift kunde inte tas emot" in receipt
    assert "Åtgärder: Bättre belysning och Vuxna på plats" in led_to
    assert "Läge: åtgärd beslutad" in led_to
    assert "1. Gåsöga östra: klotter" in led_to
    assert "14 händelser" not in led_to  # reporters stand outside the group: no counts
    assert "Det är också ett besked" in nothing


def test_the_weekly_picture_comes_as_it_was_made_with_its_pdf(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    body = BriefingContent(week="2026-W15", subject="Lägesbild vecka 15", text="Läget", html="<p>Läget</p>", pdf=b"%PDF-1.7 x")
    post.put(message(1, body, channel="mail", kind="briefing"))
    post.start(mail=mail())
    until(lambda: mailbox[0].mails)
    got = mailbox[0].mails[0]
    assert got["Subject"] == "Lägesbild vecka 15"
    assert parts(got)[1].strip() == "<p>Läget</p>"
    (pdf,) = got.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ("2026-W15.pdf", b"%PDF-1.7 x")


def test_a_test_says_that_nothing_has_happened(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    post.put(a_test("mail"), a_test("mail", key="en", language="en"))
    post.start(mail=mail())
    until(lambda: len(mailbox[0].mails) == 2)
    assert "inget har hänt" in parts(mailbox[0].mails[0])[0]
    assert "nothing has happened" in parts(mailbox[0].mails[1])[0]


# ---- refusals -----------------------------------------------------------------------------------------------------------


def test_a_recipient_refused_for_good_is_given_up_without_telling_the_address(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    mailbox[0].refuse = {"est@": "550 5.1.1 no such user est@testby.example"}
    post.put(message(1, channel="mail"))
    post.start(mail=mail())
    until(lambda: post.states() == ["dead"])
    assert post.all()[0].problem == "127.0.0.1 refuses the recipient: 550 5.1.1 no such user ***"


def test_a_recipient_refused_for_now_is_tried_again_and_does_not_rest_the_channel(
    post: Post, mailbox: Mailbox, mail: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ADDRESSES, "full", ("full@testby.example",))
    mailbox[0].refuse = {"full@": "450 mailbox full"}
    post.put(*(message(i, channel="mail", recipient="full") for i in range(1, 9)), message(9, channel="mail"))
    delivery = post.start(mail=mail(attempts=1000, rest_after=2, rest_seconds=600))
    until(lambda: post.all()[-1].state == "delivered")
    delivery.show_state()
    assert post.value("earlywarning_channel_breaker", channel="mail", state="closed") == 1
    mailbox[0].refuse = {}
    until(lambda: set(post.states()) == {"delivered"})


def test_a_message_refused_for_good_is_given_up(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    mailbox[0].refuse_data = "554 looks like spam"
    post.put(message(1, channel="mail"))
    post.start(mail=mail())
    until(lambda: post.states() == ["dead"])
    assert post.all()[0].problem == "127.0.0.1 refuses the message: 554 looks like spam"


def test_a_server_without_encryption_gets_no_mail_when_encryption_is_asked_for(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    post.put(message(1, channel="mail"))
    post.start(mail=mail(security="starttls", attempts=2))
    until(lambda: post.states() == ["dead"])
    assert "does not offer encryption (STARTTLS)" in post.all()[0].problem
    assert not mailbox[0].mails


@pytest.mark.parametrize(
    ("addresses", "problem"),
    [
        (("not an address",), "is not a mail address"),
        (("a@testby.example\nBcc: all@testby.example",), "holds a line break"),
        (("@testby.example",), "is not a mail address"),
        ((), "has no mail address"),
    ],
)
def test_bad_addresses_are_refused_by_the_recipients_name(
    post: Post, mailbox: Mailbox, mail: Channel, monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...], problem: str
) -> None:
    monkeypatch.setitem(ADDRESSES, "odd", addresses)
    post.put(message(1, channel="mail", recipient="odd"), message(2, channel="mail"))
    post.start(mail=mail())
    until(lambda: post.states() == ["dead", "delivered"])
    assert "recipient 'odd'" in post.all()[0].problem
    assert problem in post.all()[0].problem
    assert "Bcc" not in post.all()[0].problem


def test_an_unknown_recipient_is_given_up_and_says_so(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    post.put(message(1, channel="mail", recipient="stranger"))
    post.start(mail=mail())
    until(lambda: post.states() == ["dead"])
    assert post.all()[0].problem.startswith("recipient 'stranger' is not in the settings")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85"])
def test_a_line_break_in_a_name_cannot_add_headers(post: Post, mailbox: Mailbox, mail: Channel, end: str) -> None:
    names = TOWN._replace(areas={**TOWN.areas, "A1": f"Gåsöga{end}Bcc: all@testby.example"})
    post.put(message(1, channel="mail"), message(2, content(2, of={"area": "A2"}), channel="mail"))
    delivery = post.start(mail=mail())
    delivery.configure({"mail": mail()}, Contents(lambda _: names, lambda *_: Addressee(("est@testby.example",))))
    until(lambda: "waiting" not in post.states())
    # Whichever contents were in force first: no such header was ever sent.
    assert all(m["Bcc"] is None for m in mailbox[0].mails)


def test_a_line_break_in_a_name_is_refused_with_words(mail: Channel) -> None:
    from earlywarning.channels import Undeliverable  # noqa: PLC0415
    from earlywarning.channels.mail import MailSender  # noqa: PLC0415

    names = TOWN._replace(areas={**TOWN.areas, "A1": "Gåsöga\nBcc: all@testby.example"})
    contents = Contents(lambda _: names, lambda *_: Addressee(("est@testby.example",)))
    with pytest.raises(Undeliverable, match="Subject: holds a line break"):
        MailSender(mail()).render(contents.letter(message(1, channel="mail")))


# ---- templates ----------------------------------------------------------------------------------------------------------


def test_own_templates_are_used_and_a_broken_one_stops_nothing(post: Post, mailbox: Mailbox, mail: Channel, tmp_path: Path) -> None:
    (tmp_path / "mail.txt.j2").write_text("Vår egen: {{ letter.subject }}", encoding="utf-8")
    (tmp_path / "mail.html.j2").write_text("{% for %}", encoding="utf-8")
    post.put(message(1, channel="mail"))
    post.start(mail=mail(templates=str(tmp_path)))
    until(lambda: post.states() == ["delivered"])
    plain, html, _ = parts(mailbox[0].mails[0])
    assert plain.strip() == "Vår egen: Ny varning: Gåsöga östra: klotter"
    assert "<h1>Ny varning: Gåsöga östra: klotter</h1>" in html


@pytest.mark.parametrize("text", ["{{ letter.nothing.more }}", "{{ ''.__class__.__mro__ }}{{ 1/0 }}", "{% include 'none' %}"])
def test_a_template_that_fails_in_use_gives_way_to_the_bundled_one(
    post: Post, mailbox: Mailbox, mail: Channel, tmp_path: Path, text: str
) -> None:
    (tmp_path / "mail.txt.j2").write_text(text, encoding="utf-8")
    post.put(message(1, channel="mail"))
    post.start(mail=mail(templates=str(tmp_path)))
    until(lambda: post.states() == ["delivered"])
    assert "registrerades 14 händelser" in parts(mailbox[0].mails[0])[0]


def test_names_with_markup_stay_names(post: Post, mailbox: Mailbox, mail: Channel) -> None:
    body = ReporterContent(
        source="<img src=x onerror=alert(1)>", first_day=date(2026, 4, 6), last_day=date(2026, 4, 12), accepted=1, rejected=0
    )
    post.put(msgspec.structs.replace(message(1, body, channel="mail"), kind="receipt"))
    post.start(mail=mail())
    until(lambda: mailbox[0].mails)
    assert "&lt;img src=x" in parts(mailbox[0].mails[0])[1]
