"""Joining a Ray cluster, or starting one on this machine for as long as it is needed."""

from __future__ import annotations

import io
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

from reagent_sdk.cli.terminal import one_line, to_stderr
from reagent_sdk.errors import MissingExtra, ReagentError

OBJECT_STORE_BYTES = 128 * 2**20
"""Shared memory of a Ray that we start. Rows in flight are all it holds, and Ray spills to the disk beyond."""
CONNECT_SECONDS = 10.0
"""How long a cluster's head may take to accept a connection."""
_LONGEST_NOTICE = 300
_RETRY = "so the task will be retried"
"""Stands in a notice for each block that was with a worker when it died. That it died is told once and apart."""
_LONGEST_TEMPORARY = 25
"""Ray puts Unix sockets 60 characters further down, and their paths end at 103 on macOS."""


@contextmanager
def joined(address: str | None, workers: int) -> Iterator[Any]:
    """The module `ray`, connected; a Ray that this process is connected to already is used and left as it is.

    Args:
        address: `auto`, `HOST:PORT` or `ray://HOST:PORT`; None starts a Ray on this machine and stops it in the end.
        workers: how many worker processes that one is to have room for.

    Raises:
        MissingExtra: Ray is not installed.
        ReagentError: the cluster cannot be joined.
    """
    ray = _imported(address)
    with redirect_stdout(_Notices()):  # where Ray reports workers that died, even if it is not to log
        if ray.is_initialized():
            yield ray
            return
        with _own_options(workers) if address is None else nullcontext({"address": address}) as where:
            try:
                if address is not None:
                    _knock(address)
                ray.init(log_to_driver=False, logging_level="ERROR", configure_logging=False, **where)
            except (OSError, RuntimeError, ValueError) as error:
                raise ReagentError(f"cannot {'join Ray at ' + address if address else 'start Ray'}: {error}") from error
            try:
                yield ray
            finally:
                ray.shutdown()


def _knock(address: str) -> None:
    """Fails at once where nobody answers; Ray itself would try for minutes.

    Raises:
        OSError: nobody answers there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


class _Notices(io.TextIOBase):
    """Passes on the first line of what Ray prints, cleaned, to stderr: stdout is for verdicts and summaries."""

    def write(self, text: str, /) -> int:
        line = next(filter(str.strip, text.splitlines()), "")  # tracebacks of its own follow
        if line and _RETRY not in line:
            to_stderr(f"ray: {one_line(line, _LONGEST_NOTICE)}")
        return len(text)


def _imported(address: str | None) -> Any:
    """Ray, which reads some of its settings from the environment when it is imported."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it reports usage unless told otherwise
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what it will do by default, says its warning
    if address is None and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        # Some of Ray's ports listen on every interface, whatever address a node is given, and who reaches them could
        # run code here. With a token that only our own processes know, Ray refuses others.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
    except ImportError:
        raise MissingExtra("--engine ray", "ray") from None
    return ray


@contextmanager
def _own_options(workers: int) -> Iterator[dict[str, Any]]:
    """Options of a Ray of our own. Its logs go with it."""
    place = None if len(tempfile.gettempdir()) <= _LONGEST_TEMPORARY else "/tmp"  # noqa: S108 - private folder in it
    with tempfile.TemporaryDirectory(prefix="reagent-ray-", dir=place, ignore_cleanup_errors=True) as folder:
        yield {
            "address": "local",  # whatever $RAY_ADDRESS says
            "num_cpus": workers,
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": f"{folder}/r",  # opened by Ray to every user; the folder around it is ours alone
        }
