"""The settings that docs/channels.md shows can be put in force, one channel of each kind, and show the defaults."""

import re
from pathlib import Path

from earlywarning.settings import parse_settings
from earlywarning.settings_channels import KINDS, Channel, EmailChannel

TEXT = (Path(__file__).parents[2] / "docs" / "channels.md").read_text(encoding="utf-8")
TOWN = '[municipality]\ncode = "0999"\nname = "Testby"\n'


def test_every_kind_is_shown_and_can_be_put_in_force() -> None:
    shared, each = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    settings = parse_settings(TOWN + each, file="docs/channels.md", folder=Path("/srv"))
    assert {c.kind for c in settings.channels.values()} == set(KINDS)
    first = parse_settings(
        TOWN + shared + 'host = "mail.example.se"\nsender = "est@example.se"\n', file="docs/channels.md", folder=Path("/srv")
    )
    bare = EmailChannel(host="mail.example.se", sender="est@example.se")
    assert first.channels == {"mail": bare}


def test_every_key_is_told() -> None:
    for kind in (Channel, *KINDS.values()):
        for key in kind.__struct_fields__:
            assert re.search(rf"\b{key}\b", TEXT), key
