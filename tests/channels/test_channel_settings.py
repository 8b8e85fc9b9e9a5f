"""Channels in the settings: every error is named, and a secret in clear is refused without being repeated."""

from pathlib import Path

import pytest

from earlywarning.settings import SettingsError, flat_settings, load_cluster_settings, parse_settings
from earlywarning.settings_channels import EmailChannel, WebhookChannel

TOWN = '[municipality]\ncode = "0999"\nname = "Testby"\n'
MAIL = '[channels.mail]\nkind = "email"\nhost = "mail.testby.example"\nsender = "est@testby.example"\n'
HOOK = '[channels.hook]\nkind = "webhook"\nurl = "https://x.example/in"\nsecret_env = "HOOK"\n'


def problems(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_settings(TOWN + text, file="", folder=Path("/srv"))
    return "\n".join(caught.value.problems)


def test_each_kind_is_read_and_files_lie_beside_the_settings() -> None:
    settings = parse_settings(TOWN + MAIL + 'username = "est"\nsecret_file = "mail.secret"\n' + HOOK, file="", folder=Path("/srv"))
    mail, hook = settings.channels["mail"], settings.channels["hook"]
    assert isinstance(mail, EmailChannel)
    assert isinstance(hook, WebhookChannel)
    assert (mail.port, mail.security, mail.secret_file) == (587, "starttls", "/srv/mail.secret")


def test_channels_do_not_change_what_is_judged() -> None:
    bare, full = (parse_settings(TOWN + more, file="", folder=Path("/srv")) for more in ("", MAIL))
    assert bare.version == full.version


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (MAIL + 'password = "hemligt"', "channels.mail.password: a secret must not stand in the settings"),
        (MAIL + 'smtp_token = "hemligt"', "channels.mail.smtp_token: a secret must not stand"),
        (HOOK.replace("x.example", "u:hemligt@x.example"), "channels.hook.url: holds a user, password or token"),
        (HOOK.replace("/in", "/in?token=hemligt"), "channels.hook.url: holds a user, password or token"),
        (HOOK.replace("/in", "/in?api_key=hemligt"), "channels.hook.url: holds a user, password or token"),
        ('[channels.c]\nkind = "chat"\nurl = "slack://hemligt"\n', "channels.c.url: the address of a chat holds its key"),
        ('[channels.c]\nkind = "chat"\n', "channels.c.secret_file: is missing"),
        (HOOK.replace('secret_env = "HOOK"', ""), "channels.hook.secret_file: is missing"),
        (HOOK + 'secret_file = "x"\n', "channels.hook.secret_env: secret_file is given as well"),
        (HOOK.replace('"HOOK"', '"not a name"'), "channels.hook.secret_env: 'not a name' is not allowed"),
        (HOOK.replace("https://", "ftp://"), "is not a web address"),
        (MAIL + 'username = "est"\n', "channels.mail.username: is given without a password"),
        (MAIL + 'username = "est"\nsecret_env = "X"\nsecurity = "none"\n', "would send the password in clear"),
        (MAIL.replace("est@testby.example", "est@testby.example\\nBcc: x@y.example"), "channels.mail.sender: holds a line break"),
        (MAIL.replace("est@testby.example", "nobody"), "channels.mail.sender: is not a mail address"),
        (MAIL.replace('"mail.testby.example"', '"smtp://mail"'), "channels.mail.host: 'smtp://mail' is not allowed"),
        ('[channels.x]\nkind = "pigeon"\n', "channels.x.kind: 'pigeon' is not allowed; allowed: email, webhook, kafka, cap"),
        ("[channels.x]\n", "channels.x.kind: is missing"),
        ('[channels."a b"]\nkind = "email"\n', "'a b' is no name of a channel"),
        (MAIL + "colour = 1\n", "channels.mail.colour: there is no such key; keys are "),
        (MAIL + "attempts = 0\n", "channels.mail.attempts: 0 is not allowed"),
    ],
)
def test_what_cannot_work_is_named_and_no_secret_is_repeated(text: str, problem: str) -> None:
    told = problems(text)
    assert problem in told
    assert "hemligt" not in told


def test_all_errors_of_all_channels_are_told_at_once() -> None:
    told = problems(MAIL + 'password = "x"\nport = 0\n' + HOOK.replace("https", "ftp"))
    assert [line.partition(":")[0] for line in told.splitlines()] == [
        "channels.mail.password", "channels.mail.port", "channels.hook.url",
    ]  # fmt: skip


def test_a_desk_for_many_municipalities_reads_channels_as_well(tmp_path: Path) -> None:
    (tmp_path / "desk.toml").write_text(HOOK)
    assert isinstance(load_cluster_settings(tmp_path / "desk.toml").channels["hook"], WebhookChannel)


def test_what_is_shown_of_settings_names_the_place_of_a_secret_only() -> None:
    shown = flat_settings(parse_settings(TOWN + HOOK, file="", folder=Path("/srv")))
    assert shown["channels.hook.secret_env"] == '"HOOK"'
