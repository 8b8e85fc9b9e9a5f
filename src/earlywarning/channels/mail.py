"""E-mail: HTML with a plain-text part and pictures inside the message, sent by SMTP."""

import re
import smtplib
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import parseaddr
from typing import NamedTuple

from earlywarning.channels.contents import Letter
from earlywarning.channels.mail_text import MailText
from earlywarning.channels.picture import Picture, Pictures
from earlywarning.channels.refusals import NotNow, Undeliverable
from earlywarning.channels.secrets import Stars, secret_of, tls_of
from earlywarning.core.outgoing import AlertContent, BriefingContent
from earlywarning.settings_channels import EmailChannel, mail_problem
from earlywarning.store.outbox import Waiting

MOST_PICTURES = 12  # in one mail: of the first alerts of a digest
_BREAK = re.compile(r"[\r\n\0\v\f\x1c-\x1e\x85\u2028\u2029]")


class Mail(NamedTuple):
    """A mail ready to be sent."""

    message: EmailMessage
    addresses: tuple[str, ...]


class MailSender:
    """Sends by one SMTP server, whose connection is kept while messages follow one another."""

    wants_earlier = False

    def __init__(self, channel: EmailChannel, pictures: Pictures | None = None) -> None:
        """Raises NotNow when the password or the certificates cannot be read."""
        self._channel, self._secret = channel, secret_of(channel)
        self._pictures = pictures or Pictures()
        self._text = MailText(channel.templates)
        self._domain = parseaddr(channel.sender)[1].rpartition("@")[2] or "localhost"
        self._tls = tls_of(channel.ca_file) if channel.security != "none" else None
        self._server: smtplib.SMTP | None = None

    # ---- writing --------------------------------------------------------------------------------------------------

    def render(self, letter: Letter) -> Mail:
        """The mail. Raises Undeliverable for unknown recipients, bad addresses and line breaks in headers."""
        m, content = letter.message, letter.content
        if letter.addressee is None:
            raise Undeliverable(f"recipient {m.recipient!r} is not in the settings; add it, or leave it out of what is sent")
        if not letter.addressee.addresses:
            raise Undeliverable(f"recipient {m.recipient!r} has no mail address; add one in the settings")
        for address in letter.addressee.addresses:
            if problem := mail_problem(address):
                raise Undeliverable(f"an address of recipient {m.recipient!r} {problem}")
        mail = EmailMessage(POLICY)
        self._head(mail, letter)
        pictures = self._drawn(letter)
        names = [f"picture-{i}.{m.key}@{self._domain}" for i in range(len(pictures))]
        plain, html = self._text.write(letter, {i: (names[i], p.alt) for i, p in enumerate(pictures) if p})
        mail.set_content(plain, cte="quoted-printable")
        mail.add_alternative(html, subtype="html", cte="quoted-printable")
        shown = [(name, p) for name, p in zip(names, pictures, strict=True) if p]
        if shown:
            body = mail.get_payload()[1]  # type: ignore[index]  # the parts of an alternative
            for i, (name, picture) in enumerate(shown, start=1):
                body.add_related(  # type: ignore[union-attr]  # likewise
                    picture.png, "image", "png", cid=f"<{name}>", disposition="inline", filename=f"diagram-{i}.png"
                )
        if isinstance(content, BriefingContent) and content.pdf:
            mail.add_attachment(content.pdf, "application", "pdf", filename=f"{content.week}.pdf")
        mail["Content-Language"] = m.language  # last: what makes parts moves such headers into them
        return Mail(mail, tuple(parseaddr(a)[1] for a in letter.addressee.addresses))

    def _head(self, mail: EmailMessage, letter: Letter) -> None:
        m = letter.message
        addresses = letter.addressee.addresses if letter.addressee else ()
        head = {
            "From": self._channel.sender,
            "To": ", ".join(addresses),
            "Reply-To": self._channel.reply_to,
            "Subject": letter.subject,
            "Message-ID": f"<{m.key}@{self._domain}>",
            # Messages about one alert stand together in the mailbox.
            "References": f"<{m.alert_id}.alert@{self._domain}>" if m.alert_id else "",
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "X-Earlywarning-Key": m.key,
        }
        for name, value in head.items():
            if _BREAK.search(value):
                raise Undeliverable(f"{name}: holds a line break, which could add headers; mend the name that it comes from")
            if value:
                try:
                    mail[name] = value
                except (ValueError, IndexError, MessageError):
                    raise Undeliverable(f"{name}: cannot be written as a header") from None
        mail["Date"] = m.created_at
        if isinstance(letter.content, AlertContent) and (m.kind == "escalation" or letter.content.alert.tendency == "severe"):
            mail["Importance"] = "high"

    def _drawn(self, letter: Letter) -> list[Picture | None]:
        shown = letter.alerts[:MOST_PICTURES]
        return [self._pictures.of(one.alert, letter.language) if one.sentence else None for one in shown]

    # ---- sending --------------------------------------------------------------------------------------------------

    def send(self, waiting: Waiting, rendered: Mail) -> None:
        """Send it. Raises Undeliverable where the server refuses it for good (5xx), NotNow else."""
        stars = Stars((self._secret,), hidden=rendered.addresses)
        server = self._connected(stars)
        host = self._channel.host
        try:
            refused = server.send_message(rendered.message, parseaddr(self._channel.sender)[1], list(rendered.addresses))
        except smtplib.SMTPRecipientsRefused as error:
            self._again(server)
            raise _refusal(f"{host} refuses the recipient", *_worst(error.recipients), stars) from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            self._again(server)
            what = "the sender" if isinstance(error, smtplib.SMTPSenderRefused) else "the message"
            raise _refusal(f"{host} refuses {what}", error.smtp_code, error.smtp_error, stars) from None
        except smtplib.SMTPNotSupportedError:
            self._again(server)
            raise Undeliverable(f"{host} takes no addresses with letters such as å, ä and ö before the @") from None
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise NotNow(f"{host}: the connection broke ({type(error).__name__})") from None
        if refused:
            code, said = _worst(refused)
            raise _refusal(f"{host} refuses {len(refused)} of {len(rendered.addresses)} addresses", code, said, stars)

    def _connected(self, stars: Stars) -> smtplib.SMTP:
        if self._server is not None:
            return self._server
        c = self._channel
        try:
            if c.security == "tls":
                server: smtplib.SMTP = smtplib.SMTP_SSL(c.host, c.port, timeout=c.timeout_seconds, context=self._tls)
            else:
                server = smtplib.SMTP(c.host, c.port, timeout=c.timeout_seconds)
        except smtplib.SMTPResponseException as error:
            raise NotNow(stars.out(f"{c.host}:{c.port} answered {error.smtp_code}: {_said(error.smtp_error)}")) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotNow(stars.out(f"{c.host}:{c.port}: no connection ({_reason(error)})")) from None
        try:
            if c.security == "starttls":
                server.starttls(context=self._tls)
            if c.username:
                server.login(c.username, self._secret)
        except smtplib.SMTPAuthenticationError as error:
            _leave(server)
            raise NotNow(f"{c.host} refuses user and password ({error.smtp_code}); mend username or the secret") from None
        except smtplib.SMTPNotSupportedError:
            _leave(server)
            wanted = "encryption (STARTTLS)" if c.security == "starttls" else "a password"
            raise NotNow(f"{c.host} does not offer {wanted}; see the channel's security") from None
        except (smtplib.SMTPException, OSError) as error:
            _leave(server)
            raise NotNow(stars.out(f"{c.host}: no session ({_reason(error)})")) from None
        self._server = server
        return server

    def _again(self, server: smtplib.SMTP) -> None:
        """Ready the connection for the next message, or let go of it."""
        try:
            server.rset()
        except (smtplib.SMTPException, OSError):
            self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._server is not None:
            _leave(self._server)
            self._server = None


def _leave(server: smtplib.SMTP) -> None:
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        server.close()


def _worst(refused: dict[str, tuple[int, bytes]]) -> tuple[int, bytes]:
    """What decides about recipients of whom several were refused: one that may be taken later, else the first."""
    answers = list(refused.values())
    return next((a for a in answers if a[0] < 500), answers[0])


def _refusal(what: str, code: int, said: bytes | str, stars: Stars) -> RuntimeError:
    words = stars.out(f"{what}: {code} {_said(said)}".strip())
    if code == 421:  # the server closes: it concerns all messages
        return NotNow(words)
    return Undeliverable(words) if code >= 500 else NotNow(words, channel=False)


def _said(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
