"""Where settings lie: a file that is named, one in this folder, or one that `run` has made below `var`."""

from importlib import resources
from pathlib import Path

from earlywarning.settings import Settings, SettingsError, load_settings
from earlywarning.sources.police_feed import municipality_name

FILE = "earlywarning.toml"
HOME = Path("var")
DEMO = "toronto"


class OperatorError(RuntimeError):
    """Something that the operator must put right; says how."""


def find_settings(named: Path | None) -> Path:
    """The settings file to work with. Raises OperatorError when there is none, or more than one to choose from."""
    if named is not None:
        if not named.is_file():
            raise OperatorError(f"there is no settings file {named}")
        return named
    if Path(FILE).is_file():
        return Path(FILE)
    made = sorted(HOME.glob(f"*/{FILE}"))
    if len(made) == 1:
        return made[0]
    if not made:
        raise OperatorError(f"there is no {FILE} here; name one with --settings, or start the service once (earlywarning run)")
    raise OperatorError(f"there is more than one settings file: {', '.join(map(str, made))}; name one with --settings")


def settings_to_run(named: Path | None, municipality: str) -> Path:
    """The settings file to start with; made from a template where there is none yet."""
    if municipality:
        return _made(municipality, _municipality_text(municipality))
    if named is not None or Path(FILE).is_file():
        return find_settings(named)
    return _made(DEMO, _template("toronto"))


def load(named: Path | None) -> Settings:
    """The settings of a command that reads a store."""
    return load_settings(find_settings(named))


def _made(name: str, text: str) -> Path:
    path = HOME / name / FILE
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path


def _template(name: str) -> str:
    return resources.files("earlywarning.data").joinpath("settings", f"{name}.toml").read_text(encoding="utf-8")


def _municipality_text(code: str) -> str:
    name = municipality_name(code)
    if name is None:
        raise SettingsError([f"municipality {code!r} is not a Swedish municipality code, such as 0380 for Uppsala"])
    areas = f'areas = "builtin:{name.lower()}"\n' if code == "0380" else ""
    return _template("municipality").format(code=code, name=name, areas=areas, police="true")
