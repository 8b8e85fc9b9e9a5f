"""A letter as plain text and HTML by Jinja templates; those of a folder of your own go before the bundled ones."""

from collections.abc import Mapping

import structlog
from jinja2 import FileSystemLoader, PackageLoader, TemplateError, TemplateNotFound, select_autoescape
from jinja2.sandbox import SandboxedEnvironment

from earlywarning.channels.contents import Letter
from earlywarning.core.outgoing import BriefingContent

log = structlog.get_logger(__name__)
_PLAIN, _HTML = "mail.txt.j2", "mail.html.j2"


def _environment(loader: FileSystemLoader | PackageLoader) -> SandboxedEnvironment:
    # A sandbox: a template of one's own is for words and layout, not for reaching into the process.
    return SandboxedEnvironment(
        loader=loader, autoescape=select_autoescape(("html.j2",)), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )


class MailText:
    """Writes mails. folder: of own templates, mail.txt.j2 and mail.html.j2; each may be left out."""

    def __init__(self, folder: str = "") -> None:
        self._bundled = _environment(PackageLoader("earlywarning.channels", "templates"))
        self._own = _environment(FileSystemLoader(folder)) if folder else None

    def write(self, letter: Letter, pictures: Mapping[int, tuple[str, str]]) -> tuple[str, str]:
        """(plain text, HTML). pictures: by the alert's place, the content id and the words for it."""
        if isinstance(letter.content, BriefingContent):
            return letter.content.text, letter.content.html
        return self._write(_PLAIN, letter, pictures), self._write(_HTML, letter, pictures)

    def _write(self, name: str, letter: Letter, pictures: Mapping[int, tuple[str, str]]) -> str:
        values = {"letter": letter, "pictures": pictures, "language": letter.language}
        if self._own is not None:
            try:
                return self._own.get_template(name).render(values)
            except TemplateNotFound as error:
                if error.name != name:
                    log.error("own template broken, the bundled one is used", template=name, problem=f"includes {error.name}")
            except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, OSError) as error:
                # An alert must not wait until somebody has mended a template.
                line = getattr(error, "lineno", None)
                log.error("own template broken, the bundled one is used", template=name, line=line, problem=type(error).__name__)
        return self._bundled.get_template(name).render(values)
