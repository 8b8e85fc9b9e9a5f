"""E-mail: HTML with a plain-text part and pictures inside the message, sent by SMTP."""

import re
import smtplib
from base64 import b64encode
from collections.abc import MutableMapping
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
_MOST_REMEMBERED = 1_000  # messages of which some addresses wait
_BREAK = re.compile(r"[\r\n\0\v\f\x1c-\x1e\x85\u2028\u2029]")


class Mail(NamedTuple):
    """A mail ready to be sent."""

    message: EmailMessage
    addresses: tuple[str, ...]


class MailSender:
    """Sends by one SMTP server, whose connection is kept while messages follow one another."""

    wants_earlier = False

    def __init__(
        self, channel: EmailChannel, pictures: Pictures | None = None, taken: MutableMapping[str, frozenset[str]] | None = None
    ) -> None:
        """taken: by a message's key, the addresses that have it while others of the same message wait; kept by who calls.

        Raises NotNow when the password or the certificates cannot be read.
        """
        self._channel, self._secret = channel, secret_of(channel)
        self._pictures = pictures or Pictures()
        self._taken = {} if taken is None else taken
        self._text = MailText(channel.templates)
        self._from = _sendable(channel.sender)
        self._domain = parseaddr(self._from)[1].rpartition("@")[2] or "localhost"
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
        return Mail(mail, tuple(parseaddr(_sendable(a))[1] for a in letter.addressee.addresses))

    def _head(self, mail: EmailMessage, letter: Letter) -> None:
        m = letter.message
        addresses = letter.addressee.addresses if letter.addressee else ()
        head = {
            "From": self._from,
            "To": ", ".join(map(_sendable, addresses)),
            "Reply-To": _sendable(self._channel.reply_to),
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
        """Send it to the addresses that have not got it yet. Raises Undeliverable where it is refused for good, NotNow else."""
        key = waiting.message.key
        has_it = self._taken.get(key, frozenset())
        addresses = [a for a in rendered.addresses if a not in has_it]
        if not addresses:  # those that it was refused to have left the settings
            self._taken.pop(key, None)
            return
        stars = Stars((self._secret,), hidden=rendered.addresses)
        server = self._connected(stars)
        host = self._channel.host
        try:
            refused = server.send_message(rendered.message, parseaddr(self._from)[1], addresses)
        except smtplib.SMTPRecipientsRefused as error:
            self._again(server)
            who = "the recipient" if len(rendered.addresses) == 1 else f"{len(addresses)} of {len(rendered.addresses)} addresses"
            raise _refusal(f"{host} refuses {who}", *_worst(error.recipients), stars) from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            self._again(server)
            what = "the sender" if isinstance(error, smtplib.SMTPSenderRefused) else "the message"
            raise _refusal(f"{host} refuses {what}", error.smtp_code, error.smtp_error, stars) from None
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise NotNow(f"{host}: the connection broke ({type(error).__name__})") from None
        self._taken.pop(key, None)
        if refused:
            self._taken[key] = has_it.union(addresses).difference(refused)
            for oldest in list(self._taken)[:-_MOST_REMEMBERED]:  # other channels' threads change it as well
                self._taken.pop(oldest, None)
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
                _log_in(server, c.username, self._secret)
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


def _sendable(written: str) -> str:
    """An address, perhaps with a name, with its domain as mail servers know it: vårby.se is xn--vrby-qoa.se (RFC 3490)."""
    domain = written.rpartition("@")[2].rstrip("> ")
    if domain.isascii():
        return written
    try:
        known = domain.encode("idna").decode()
    except UnicodeError:  # what is no address is refused elsewhere, in words
        return written
    before, _, after = written.rpartition(domain)
    return before + known + after


def _log_in(server: smtplib.SMTP, user: str, password: str) -> None:
    """As smtplib does, and with letters beyond ASCII by PLAIN in UTF-8 (RFC 4616), which smtplib does not do.

    Raises what its `login` raises; SMTPException where such letters need what the server does not offer.
    """
    if (user + password).isascii():
        server.login(user, password)
        return
    server.ehlo_or_helo_if_needed()
    if not server.has_extn("auth"):
        raise smtplib.SMTPNotSupportedError("AUTH")
    if "PLAIN" not in server.esmtp_features["auth"].upper().split():
        raise _LettersError("a user or password with letters such as å needs a server that offers AUTH PLAIN")
    code, said = server.docmd("AUTH", "PLAIN " + b64encode(f"\0{user}\0{password}".encode()).decode())
    if code not in (235, 503):  # taken; taken already
        raise smtplib.SMTPAuthenticationError(code, said)


class _LettersError(smtplib.SMTPException):
    """The server cannot be told this password."""


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
    if isinstance(error, _LettersError):
        return str(error)
    return (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
