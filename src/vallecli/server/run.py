"""The process of a server: listening, signals, and an end that answers all requests that were accepted."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from vallecli.errors import DeviceError, UsageError
from vallecli.server.logs import JsonFormatter
from vallecli.server.service import Service

BACKLOG = 2048  # connections
KEEP_ALIVE = 5  # seconds between two requests of a connection
HEADER_BYTES = 32_768
GRACE = 5  # seconds beyond the timeout of requests


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    """0 chooses a free one."""


class _Server(uvicorn.Server):
    """A server that, on the first signal, answers what it has accepted, refuses the rest, and then exits."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service
        self.interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to shut down; a second signal exits at once."""
        self.interrupted |= sig == signal.SIGINT
        if self.service.draining:
            self.should_exit = self.force_exit = True
        self.service.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Return whether to exit, ten times a second."""
        done = self.service.draining and not self.service.accepted
        self.should_exit = self.should_exit or done or self.service.speaker.fatal is not None
        return await super().on_tick(counter)


def listen(address: Address) -> socket.socket:
    """Return a listening socket. Raises UsageError if the address is not available."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.set_inheritable(True)
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise UsageError(
            f"cannot listen on {address.host} port {address.port}: {reason}", "Choose another address or port."
        ) from error
    return listener


def serve(app: ASGIApp, service: Service, listener: socket.socket, on_start: Callable[[str], object]) -> None:
    """Serve until a signal; `on_start` receives the URL. Raises KeyboardInterrupt after SIGINT, and DeviceError."""
    _log_as_json()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(service.bounds.timeout) + GRACE,
        h11_max_incomplete_event_size=HEADER_BYTES,
        backlog=BACKLOG,
    )
    server = _Server(config, service)
    host, port = listener.getsockname()[:2]
    service.start()
    try:
        on_start(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        server.run(sockets=[listener])
    finally:
        service.stop()
    if service.speaker.fatal is not None:
        raise DeviceError(
            "the engine has failed", "See the log, and start the server again."
        ) from service.speaker.fatal
    if server.interrupted:
        raise KeyboardInterrupt


def _log_as_json() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("uvicorn")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.WARNING)
