"""The mail server of a municipality: encrypted, with a password, and in all the ways in which it may not answer."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from earlywarning.settings_channels import EmailChannel, mail_problem
from tests.channels.conftest import Post
from tests.channels.messages import ADDRESSES, message
from tests.channels.receivers import MailReceiver, mail_receiver, until

# aiosmtpd does not count a connection that is encrypted from its first byte on.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
Mailbox = tuple[MailReceiver, int]
Channel = Callable[..., EmailChannel]
USER, WORD = "est", "ett långt lösenord"


class Certificate(NamedTuple):
    """What a server shows, and the file of the authority that vouches for it."""

    server: ssl.SSLContext
    ca_file: str


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("certificate")
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
    (folder / "key.pem").write_bytes(private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return Certificate(server, str(folder / "ca.pem"))


def known(server: Any, session: Any, envelope: Any, mechanism: str, said: LoginPassword) -> AuthResult:
    return AuthResult(success=(said.login, said.password) == (USER.encode(), WORD.encode()), handled=False)


@contextmanager
def guarded(certificate: Certificate, security: str) -> Iterator[Mailbox]:
    """A server that takes mail over an encrypted connection from those who know the password."""
    how: dict[str, Any] = {"authenticator": known, "auth_required": True}
    if security == "tls":
        how |= {"ssl_context": certificate.server, "auth_require_tls": False}  # it is from the first byte on
    else:
        how |= {"tls_context": certificate.server, "require_starttls": True}
    with mail_receiver(**how) as box:
        yield box


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_out_encrypted_with_a_password_that_is_read_anew(
    post: Post, mail: Channel, certificate: Certificate, tmp_path: Path, security: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "password"
    file.write_text("fel lösenord")
    with guarded(certificate, security) as (box, port):
        post.put(message(1, channel="mail"))
        post.start(
            mail=mail(
                port=port, security=security, ca_file=certificate.ca_file, username=USER, secret_file=str(file), attempts=10_000
            )
        )
        until(lambda: post.all()[0].problem)
        assert post.all()[0].problem == "127.0.0.1 refuses user and password (535); mend username or the secret"
        assert not box.mails
        for content, problem in ((b"", "is empty"), (b"\xff\xfe", "is not text")):
            file.write_bytes(content)
            until(lambda words=problem: words in post.all()[0].problem)  # type: ignore[misc]
        file.unlink()
        until(lambda: "cannot be read (No such file or directory)" in post.all()[0].problem)
        file.write_text(f"{WORD}\n")
        until(lambda: post.states() == ["delivered"])
        assert len(box.mails) == 1
    assert "lösenord" not in caplog.text + post.all()[0].problem


def test_a_password_with_swedish_letters_that_the_server_cannot_take_is_said(
    post: Post, mail: Channel, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_WORD", WORD)
    how = {"tls_context": certificate.server, "authenticator": known, "auth_exclude_mechanism": ["PLAIN"]}
    with mail_receiver(**how) as (box, port):
        post.put(message(1, channel="mail"))
        post.start(
            mail=mail(
                port=port, security="starttls", ca_file=certificate.ca_file, username=USER, secret_env="MAIL_WORD", attempts=2
            )
        )
        until(lambda: post.states() == ["dead"])
        assert post.all()[0].problem.endswith("(a user or password with letters such as å needs a server that offers AUTH PLAIN)")
        assert not box.mails


def test_a_server_whose_certificate_nobody_vouches_for_gets_neither_mail_nor_password(
    post: Post, mail: Channel, certificate: Certificate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAIL_WORD", WORD)
    (tmp_path / "none.pem").write_text("no certificate")
    with ExitStack() as stack:
        ports = {security: stack.enter_context(guarded(certificate, security))[1] for security in ("starttls", "tls")}
        channels = {
            name: mail(port=ports[security], security=security, username=USER, secret_env="MAIL_WORD", attempts=2, ca_file=file)
            for name, security, file in (
                ("mail", "starttls", ""),
                ("second", "tls", ""),
                ("third", "tls", str(tmp_path / "none.pem")),
            )
        }
        post.put(*(message(i, channel=name) for i, name in enumerate(channels)))
        post.start(**channels)
        until(lambda: post.states() == ["dead"] * 3)
    said = [one.problem for one in post.all()]
    assert ["no session" in said[0], "no connection" in said[1], "(ca_file) cannot be used" in said[2]] == [True] * 3, said


def test_a_server_that_asks_for_no_password_is_not_given_one(
    post: Post, mailbox: Mailbox, mail: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_WORD", WORD)
    post.put(message(1, channel="mail"))
    post.start(mail=mail(username=USER, secret_env="MAIL_WORD", attempts=2))
    until(lambda: post.states() == ["dead"])
    assert "does not offer a password" in post.all()[0].problem
    assert not mailbox[0].mails


def test_of_several_addresses_those_that_are_put_off_are_tried_again_alone(
    post: Post, mailbox: Mailbox, mail: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ADDRESSES, "many", ("one@testby.example", "full@testby.example", "gone@testby.example"))
    box = mailbox[0]
    box.refuse = {"full@": "450 mailbox full", "gone@": "450 try later"}
    post.put(message(1, channel="mail", recipient="many"))
    post.start(mail=mail(attempts=10_000))
    until(lambda: post.all()[0].attempts > 3)
    assert post.all()[0].problem.startswith("127.0.0.1 refuses 2 of 3 addresses: 450")
    assert [m["X-Envelope-To"] for m in box.mails] == ["one@testby.example"]
    box.refuse = {"gone@": "550 no such user"}
    until(lambda: post.states() == ["dead"])
    assert post.all()[0].problem == "127.0.0.1 refuses 1 of 3 addresses: 550 no such user"
    assert [m["X-Envelope-To"] for m in box.mails] == ["one@testby.example", "full@testby.example"]
    # The one that is left is mended, or taken out of the settings, and the message tried again: nobody gets it twice.
    monkeypatch.setitem(ADDRESSES, "many", ("one@testby.example", "full@testby.example"))
    post.outbox.again([post.all()[0].id], datetime.now(UTC))
    until(lambda: post.states() == ["delivered"])
    assert len(box.mails) == 2


def test_a_domain_with_swedish_letters_is_written_as_mail_servers_know_it(
    post: Post, mail: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ADDRESSES, "odd", ("Åsa <lage@vårby.example>", "b@testby.example"))
    with mail_receiver(enable_SMTPUTF8=False) as (box, port):
        post.put(message(1, channel="mail", recipient="odd"))
        post.start(mail=mail(port=port, sender="Lägesbild <est@vårby.example>", reply_to="est@vårby.example"))
        until(lambda: post.states() == ["delivered"])
    (got,) = box.mails
    assert got["X-Envelope-To"] == "lage@xn--vrby-qoa.example,b@testby.example"
    assert got["To"] == "Åsa <lage@xn--vrby-qoa.example>, b@testby.example"
    assert got["From"] == "Lägesbild <est@xn--vrby-qoa.example>"
    assert got["Reply-To"] == "est@xn--vrby-qoa.example"
    assert got["Message-ID"].endswith("@xn--vrby-qoa.example>")
    assert "is not a mail address" in mail_problem("est@" + "å" * 70 + ".se")


@contextmanager
def scripted(*sessions: bytes) -> Iterator[int]:
    """A server that greets each connection with some bytes and hangs up, the last of them for all that follow."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            greetings = list(sessions)
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(greetings[0])
                    if len(greetings) > 1:
                        greetings.pop(0)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("greeting", "problem"),
    [
        (b"421 too busy \x1b[31mnow\r\n", "answered 421: too busy [31mnow"),
        (b"220 ready\r\n", "(SMTPServerDisconnected)"),
        (b"", "no connection (SMTPServerDisconnected)"),
    ],
)
def test_a_server_that_hangs_up_is_tried_again_later_and_says_so(post: Post, mail: Channel, greeting: bytes, problem: str) -> None:
    with scripted(greeting) as port:
        post.put(message(1, channel="mail"))
        post.start(mail=mail(port=port, attempts=3))
        until(lambda: post.states() == ["dead"])
    assert post.all()[0].problem.startswith("given up after 3 attempts: 127.0.0.1")
    assert problem in post.all()[0].problem


def test_where_no_server_is_the_port_is_named_and_the_mail_goes_out_when_there_is_one(post: Post, mail: Channel) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    post.put(message(1, channel="mail"))
    post.start(mail=mail(port=port, attempts=10_000))
    until(lambda: post.all()[0].problem)
    assert post.all()[0].problem == f"127.0.0.1:{port}: no connection (Connection refused)"
    with mail_receiver(port=port) as (box, _):
        until(lambda: post.states() == ["delivered"])
        assert len(box.mails) == 1
