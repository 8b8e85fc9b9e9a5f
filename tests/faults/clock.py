"""A process whose clock the test sets while it runs, by libfaketime; the clock by which it measures time goes on as ever."""

from datetime import datetime
from pathlib import Path

from tests.conftest import left_out

_INSTALL = "libfaketime is not installed; on Debian: apt-get install libfaketime"


class Clock:
    """environment: for the process to be started; `set` puts its clock."""

    def __init__(self, folder: Path, to: datetime) -> None:
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            left_out(_INSTALL)
        self._file = folder / "clock"
        self.environment = {
            "LD_PRELOAD": str(libraries[0]), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "TZ": "UTC",
        }  # fmt: skip
        self.set(to)

    def set(self, to: datetime) -> None:
        """Put the clock to an aware instant; from there it goes on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{to.timestamp() - datetime.now().timestamp():+.0f}\n")  # noqa: DTZ005  # seconds since 1970 are of no zone
        new.replace(self._file)
