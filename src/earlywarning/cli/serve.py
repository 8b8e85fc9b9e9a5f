"""`earlywarning run`: the embedded service with its HTTP interface, after the demonstration's replay where asked."""

import gc
import signal
import socket
import sys
from functools import partial
from pathlib import Path

import structlog
from rich.console import Console

from earlywarning.cli.feeding import replay_demonstration
from earlywarning.cli.place import OperatorError, settings_to_run
from earlywarning.cli.showing import alerts_table
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.process_memory import give_back_large_blocks, give_back_small_blocks
from earlywarning.settings import load_settings
from earlywarning.settings_access import open_problem
from earlywarning.web.api import make_app
from earlywarning.web.serving import server_of

_SHOWN = 20
_FAULT = 70  # the writer has ended: not the operator's error, and a new start mends it
_REPLAYED = "demonstration"
log = structlog.get_logger(__name__)


def run_service(settings_file: Path | None, municipality: str, host: str, port: int | None, *, replay_only: bool = False) -> None:
    """Start and stay up until the process is told to end."""
    path = settings_to_run(settings_file, municipality)
    settings = load_settings(path)
    if problem := open_problem(settings.access.mode, host or settings.service.host):
        raise OperatorError(problem)
    listening = listen(host or settings.service.host, settings.service.port if port is None else port)
    address = f"http://{listening.getsockname()[0]}:{listening.getsockname()[1]}"
    console = Console()
    service = Service.open(settings, holder=address)
    try:
        if settings.registers.areas == "builtin:toronto" and service.store.source_state(_REPLAYED) is None:
            console.print(f"Replaying recorded major crime in Toronto, 2014-2021. Areas: {service.register.note}")
            replay_demonstration(service, console)
            service.store.commit(None, source_state={_REPLAYED: "done"})
        alerts = service.store.alerts(limit=_SHOWN)
        if alerts:
            everything = sum(n for *_, n in service.store.alert_counts())
            console.print(f"{everything} alerts so far; the newest {len(alerts)}:")
            console.print(alerts_table(alerts, service.register, service.tree, settings.municipality.language))
        if replay_only:
            return
        give_back_large_blocks()
        give_back_small_blocks()
        # The writer computes while the event loop answers: hand over often, or each answer waits for whole turns.
        sys.setswitchinterval(0.0005)
        end_in_order()
        # What is there by now stays: the collector need not look through it again while requests wait.
        gc.collect()
        gc.freeze()
        server = server_of(make_app(service))
        service.writer.on_fault = partial(setattr, server, "should_exit", True)
        service.start(path)
        console.print(f"Taking events at {address}/v1/events; pages at {address}/; settings in {path}. Ctrl-C ends.")
        server.run(sockets=[listening])
    finally:
        service.stop()
        listening.close()
    if service.writer.fault:
        # What waited has been told to send again; a new process makes its engine anew from the store.
        sys.exit(_FAULT)


def end_in_order() -> None:
    """TERM ends the process like an error would: what stands in `finally` is done.

    The web server stops at TERM and then raises it once more; by default that would end the process at once, with messages
    that were delivered and not yet noted, and a log that is not written back.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections already. Raises OperatorError when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)  # from now on connections wait, and are served when everything is ready
    except OSError as error:
        listening.close()
        raise OperatorError(f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port") from error
    return listening
