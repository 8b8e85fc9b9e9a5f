"""`earlywarning` as it is called from a shell, in this process: a command costs a test its work, and not a start of Python.

What a process alone shows (its start, its signals, its end) is tested in processes of their own: test_logs,
test_tokens_of_commands, test_killed_while_ingesting, and by the wheel.
"""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import structlog

from earlywarning.cli.app import main


def earlywarning(
    folder: Path | None, *words: object, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it with `words` in a folder (None: where we are): what it ended with, and what it said on either stream."""
    given = list(map(str, words))
    out, err = io.StringIO(), io.StringIO()
    kept, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    surroundings = {"COLUMNS": "200", "NO_COLOR": "1", **(environment or {})}
    try:
        with (
            chdir(folder or Path.cwd()), mock.patch.dict(os.environ, surroundings),
            mock.patch.object(sys, "argv", ["earlywarning", *given]), redirect_stdout(out), redirect_stderr(err),
        ):  # fmt: skip
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        structlog.configure(**kept)
        root.handlers[:] = handlers
        root.setLevel(level)
    return subprocess.CompletedProcess(given, code, out.getvalue(), err.getvalue())


def command(folder: Path, *words: str, code: int = 0) -> str:
    """What it said, which must end with `code`: on the error stream where that is not 0."""
    done = earlywarning(folder, *words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr
