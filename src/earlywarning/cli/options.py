"""Options that many commands have."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

SettingsFile = Annotated[Path | None, Parameter(name=["--settings", "-s"], help="Settings file (see README).")]
TokenFile = Annotated[
    Path | None,
    Parameter(help="File with a token, for --to where people sign in; else the environment's EARLYWARNING_TOKEN."),
]
LanguageOption = Annotated[Literal["sv", "en"] | None, Parameter(name=["--language", "-l"], help="Swedish or English.")]
