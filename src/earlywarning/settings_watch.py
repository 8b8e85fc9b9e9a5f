"""Following a settings file: each new, valid content is put in force without a restart."""

import threading
from collections.abc import Callable
from pathlib import Path

from earlywarning.settings import Settings, SettingsError, parse_settings_bytes


def watch_settings(
    path: Path,
    on_change: Callable[[Settings], None],
    on_error: Callable[[SettingsError], None],
    stop: threading.Event,
) -> None:
    """Call on_change with each new, valid content of the file until `stop`; a broken file goes to on_error.

    Watches the folder, and looks every half second besides: so editors which replace the file are noticed, and links
    whose target changes as well. A file that is away for a while, as between two steps of an editor, is waited for.
    """
    from watchfiles import watch  # noqa: PLC0415  # starts threads of its own: only where watching is wanted

    def content() -> bytes:
        try:
            return path.read_bytes()
        except OSError:
            return b""

    last = content()
    # The store often lies in the same folder and changes with every event: only the settings file wakes this up.
    rounds = watch(
        path.parent,
        watch_filter=lambda _, changed: Path(changed).name == path.name,
        stop_event=stop,
        recursive=False,
        debounce=200,
        rust_timeout=500,
        yield_on_timeout=True,
    )
    for _ in rounds:
        now = content()
        if stop.is_set():
            return
        # An empty file is one that is just being written.
        if not now or now == last:
            continue
        last = now
        try:
            settings = parse_settings_bytes(now, path)
        except SettingsError as error:
            on_error(error)
        else:
            on_change(settings)
