"""The process in which files are read: limits itself before it looks at the file. See `files_process`."""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import sys
from collections.abc import Mapping
from typing import Any

from reagent_sdk.tools.files.roots import FileProblem

_NETWORK = {"socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}
_PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"}
_FORBIDDEN = _NETWORK | _PROGRAMS
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LONGEST_MESSAGE = 500


def main(request: Mapping[str, Any]) -> None:
    """Calls the requested function on standard input; writes a line of facts and the content to standard output."""
    limits = request["limits"]
    _confine(limits)
    # Libraries print. What they print must not end up in the answer.
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        facts, content = _call(request)
        answer.write(json.dumps(facts).encode() + b"\n")
        answer.write(content[: limits["max_output"]])
    # Some native libraries crash while the interpreter takes them down. The answer is out, so nothing is lost.
    os._exit(0)


def _call(request: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    module, _, name = request["function"].partition(":")
    try:
        facts, content = getattr(importlib.import_module(module), name)(sys.stdin.buffer, request["arguments"])
    except FileProblem as problem:
        return _problem(problem.kind, str(problem)), b""
    except ModuleNotFoundError as error:
        return _problem("MissingExtra", f"the package {error.name!r} is not installed here"), b""
    except MemoryError:
        return _problem("TooLarge", f"reading it takes more than {request['limits']['memory_mb']} MB of memory"), b""
    except RecursionError:
        return _problem("Damaged", "the file is nested too deeply"), b""
    except Exception as error:  # whatever a parser raises on a hostile file is a finding about the file
        return _problem("Damaged", f"the file cannot be read ({type(error).__name__}: {error})"), b""
    facts["cut"] = len(content) > request["limits"]["max_output"]
    return facts, content


def _problem(kind: str, message: str) -> dict[str, Any]:
    return {"problem": kind, "message": message[:_LONGEST_MESSAGE]}


def _confine(limits: Mapping[str, Any]) -> None:
    if sys.platform != "darwin":  # which refuses it
        _limit(resource.RLIMIT_AS, limits["memory_mb"] << 20)
    _limit(resource.RLIMIT_CPU, math.ceil(limits["seconds"]) + 1)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    sys.addaudithook(_refuse)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Stops what a document may trick a library into: fetching a link, starting a program, writing a file."""
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
    already_open = isinstance(arguments[0], int) if event == "open" else False
    if event in _FORBIDDEN or (writes and not already_open and arguments[0] != os.devnull):
        raise PermissionError(f"reading a file must not lead to {event}")
