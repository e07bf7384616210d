"""The commands of the service: ``vqrec serve`` and ``vqrec doctor``."""

import gc
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import click
import structlog
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import VqrecError
from service.app import create_app
from service.doctor import examine
from service.edge.protocol import EdgeProtocol
from service.errors import ConfigurationError
from service.listening import listening_fault
from service.logs import configure_logging
from service.security.loopback import is_loopback
from service.server import DrainingServer
from service.settings import Settings, load_settings, unknown_variables
from service.stopping import Stopping

log = structlog.get_logger(__name__)

_FOLDER = click.Path(file_okay=False, path_type=Path)
# Python's own is 5 ms: the event loop would wait as long for a thread that reads a bulk or applies one, at every turn.
_SWITCH_SECONDS = 0.001
_STOPPED_BY_HAND = 128 + signal.SIGINT  # as shells have it
_OTHER_FILES = 512  # connections to Redis, artifacts, and what is answered beyond the connections that are served


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--artifacts", type=_FOLDER, help="Artifact root.  [VQREC_ARTIFACTS, default: artifacts]")
@click.option("--data-dir", type=_FOLDER, help="What the service keeps.  [VQREC_DATA_DIR, default: vqrec-data]")
def serve(host: str, port: int, artifacts: Path | None, data_dir: Path | None) -> None:
    """Run the service until it is told to stop."""
    try:
        settings = load_settings(artifacts=artifacts, data_dir=data_dir)
        check_exposure(host, settings)
        check_folders(settings)
        check_port(host, port)
        stopping = Stopping()
        app = _Lifespan(create_app(settings, stopping))
    except ConfigurationError as error:
        raise click.ClickException(error.detail) from error
    app.at_start, app.at_end = _keep_for_good, configure_logging(settings.log_level).flush
    server = DrainingServer(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            access_log=False,  # the service writes a better one
            log_config=None,
            server_header=False,
            http=EdgeProtocol,
            ws="none",  # an upgrade would leave the edge
            timeout_keep_alive=settings.idle_seconds,
            timeout_graceful_shutdown=settings.graceful_seconds,
            lifespan="on",
        ),
        stopping,
        settings.drain_seconds,
    )
    for name in unknown_variables():
        log.warning("unknown-setting", variable=name)
    if not settings.artifacts.is_dir():
        log.warning("no-artifacts", folder=str(settings.artifacts))
    _allow_files(settings.connections + _OTHER_FILES)
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        server.run()
    except KeyboardInterrupt:  # which uvicorn raises anew once everything has ended in order
        click.echo("stopped by Ctrl-C", err=True)
        raise SystemExit(_STOPPED_BY_HAND) from None
    except SystemExit:  # uvicorn's way to say that it did not start
        pass
    if not server.started:
        reason = app.fault.detail if app.fault else "the service did not start; the log above says why"
        raise click.ClickException(reason)


@click.command()
@click.option("--artifacts", type=_FOLDER, help="Artifact root.  [VQREC_ARTIFACTS, default: artifacts]")
@click.option("--data-dir", type=_FOLDER, help="What the service keeps.  [VQREC_DATA_DIR, default: vqrec-data]")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
def doctor(artifacts: Path | None, data_dir: Path | None, port: int) -> None:
    """Say what this machine and configuration will do, and what is wrong with it."""
    try:
        settings = load_settings(artifacts=artifacts, data_dir=data_dir)
    except ConfigurationError as error:
        raise click.ClickException(error.detail) from error
    findings = examine(settings, port)
    for finding in findings:
        click.echo(finding.line())
    faults = sum(finding.is_fault for finding in findings)
    click.echo(f"\n{faults} thing(s) wrong" if faults else "\nall is well")
    if faults:
        raise SystemExit(1)


class _Lifespan:
    """The application, but a fault that keeps it from starting is kept for the command to tell, without a traceback.

    Also something is done when the application has started, and when it has shut down, after which a signal ends the
    process at once.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.fault: VqrecError | None = None
        self.at_start: Callable[[], None] | None = None
        self.at_end: Callable[[], None] | None = None
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_news(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete" and self.at_start is not None:
                self.at_start()
            if message["type"] != "lifespan.startup.failed":  # it holds the traceback of what is raised next
                await send(message)

        try:
            await self._app(scope, receive, send_news)
        except VqrecError as error:
            self.fault = error
            await send({"type": "lifespan.startup.failed"})
        finally:
            if self.at_end is not None:
                self.at_end()


def _allow_files(wanted: int) -> None:
    """Let the process have so many files open, if it may: many systems let it have 1,024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _keep_for_good() -> None:
    """Spare the garbage collector what was made while starting, which lives as long as the process.

    Compilers and frameworks leave some hundred thousand objects, and to look through them stops every request for a
    tenth of a second.
    """
    gc.collect()
    gc.freeze()


def check_exposure(host: str, settings: Settings) -> None:
    """Refuse to listen where others can reach the service while nobody is asked for a key.

    Raises:
        ConfigurationError: saying what to do.
    """
    if settings.load_api_keys().keys or is_loopback(host):
        return
    raise ConfigurationError(
        f"without API keys the service listens on loopback only, and {host} is not: "
        "set VQREC_API_KEYS or VQREC_API_KEYS_FILE, or leave out --host"
    )


def check_port(host: str, port: int) -> None:
    """Refuse to start where the service could not listen in the end.

    Raises:
        ConfigurationError: saying why, and what to do.
    """
    fault = listening_fault(host, port)
    if fault is not None:
        raise ConfigurationError(fault)


def check_folders(settings: Settings) -> None:
    """Refuse what cannot be a folder of the service; that of the data is made where the service is to run Redis there.

    Raises:
        ConfigurationError: naming the setting, the folder and what is wrong.
    """
    for name, folder in (("VQREC_ARTIFACTS", settings.artifacts), ("VQREC_DATA_DIR", settings.data_dir)):
        try:
            is_other = not stat.S_ISDIR(folder.stat().st_mode)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigurationError(f"{name} ({folder}) cannot be read: {error.strerror}") from error
        if is_other:
            raise ConfigurationError(f"{name} ({folder}) is no folder")
    if settings.redis_url is not None:
        return
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"VQREC_DATA_DIR ({settings.data_dir}) cannot be made: {error.strerror}") from error
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise ConfigurationError(f"VQREC_DATA_DIR ({settings.data_dir}) cannot be written to")
