"""Dagster's webserver, daemon and code server as one child process, `dagster dev`, which watches over all three."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

_POLL_SECONDS = 0.2
_STOP_SECONDS = 30
_LOCATIONS = """{ workspaceOrError { ... on Workspace {
    locationEntries { loadStatus locationOrLoadError { __typename } }
} } }"""


class ServiceError(RuntimeError):
    """Dagster did not start, or has stopped; the message says why."""


class Services:
    """Webserver, daemon and code server of the Dagster instance that DAGSTER_HOME names.

    Args:
        module: The Python module with the definitions.
        host: The address to listen on.
        port: The port to listen on.
        log: Where the output goes.
    """

    def __init__(self, module: str, *, host: str, port: int, log: Path) -> None:
        self.url = f"http://{host}:{port}"
        self.log = log
        self._refuse_taken_port(host, port)
        command = [sys.executable, "-m", "dagster", "dev", "-m", module, "--host", host, "--port", str(port)]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*command, "--code-server-log-level", "warning", "--log-level", "warning"],
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is ours to pass on: the terminal would send it to every process at once.
                start_new_session=True,
            )

    def wait_until_ready(self, *, seconds: float = 120) -> None:
        """Wait until the webserver answers and has loaded the definitions.

        Raises:
            ServiceError: it does not come up.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check()
            if self._is_ready():
                return
            time.sleep(_POLL_SECONDS)
        raise ServiceError(f"Dagster did not come up within {seconds:.0f} seconds; see {self.log}.")

    def check(self) -> None:
        """Raise if Dagster has stopped.

        Raises:
            ServiceError: it has.
        """
        if self._process.poll() is not None:
            raise ServiceError(f"Dagster has stopped with exit code {self._process.returncode}; see {self.log}.")

    def wait(self) -> int:
        """Wait until Dagster stops; its exit code."""
        return self._process.wait()

    def graphql(self, query: str, **variables: object) -> dict[str, Any]:
        """Ask the webserver; the answer's `data`.

        Raises:
            ServiceError: the webserver does not understand the question.
        """
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own webserver
            f"{self.url}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise ServiceError(error.read().decode(errors="replace")) from error
        if answer.get("errors"):
            raise ServiceError(json.dumps(answer["errors"])[:2000])
        return answer["data"]

    def stop(self) -> None:
        """Stop everything, also what does not want to."""
        if self._process.poll() is not None:
            return
        family = [process.pid for process in psutil.Process(self._process.pid).children(recursive=True)]
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        gone_by_now = [psutil.Process(pid) for pid in family if psutil.pid_exists(pid)]
        for process in psutil.wait_procs(gone_by_now, timeout=10)[1]:
            process.kill()

    def _is_ready(self) -> bool:
        try:
            entries = self.graphql(_LOCATIONS)["workspaceOrError"]["locationEntries"]
        except (OSError, ServiceError):
            return False
        errors = [entry for entry in entries if entry["locationOrLoadError"]["__typename"] == "PythonError"]
        if errors:
            raise ServiceError(f"The definitions cannot be loaded; see {self.log}.")
        return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)

    @staticmethod
    def _refuse_taken_port(host: str, port: int) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise ServiceError(
                    f"Port {port} of {host} is taken: stop what runs there, or choose another with --port."
                ) from error


@contextmanager
def running(services: Services) -> Iterator[Services]:
    """While it lasts, Dagster runs; it is stopped however this ends."""
    try:
        yield services
    finally:
        services.stop()


def free_port(host: str) -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
