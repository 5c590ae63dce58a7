"""Talking to a kernel: the Jupyter messaging protocol over unix sockets, with bounds on what a reply may weigh."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reagent_sdk.errors import MissingExtra

_MAX_MESSAGE = 8 * 2**20  # ZeroMQ drops the connection at a larger one, and opens it again
_MAX_WAITING = 32  # messages held for us; more wait in the kernel, whose memory is limited

Reply = Mapping[str, Any]


class KernelClient:
    """The sockets of one kernel, for the event loop it is made in."""

    def __init__(self, run: Path, key: str) -> None:
        try:
            import zmq
            import zmq.asyncio
            from jupyter_client.session import Session
        except ImportError as error:
            raise MissingExtra("the python tool", "tools") from error
        self._session = Session(key=key.encode(), signature_scheme="hmac-sha256")
        self._sockets = []
        context = zmq.asyncio.Context.instance()
        for kind in (zmq.DEALER, zmq.SUB):
            made = context.socket(kind)
            made.linger = 0
            made.setsockopt(zmq.MAXMSGSIZE, _MAX_MESSAGE)
            made.setsockopt(zmq.RCVHWM, _MAX_WAITING)
            made.setsockopt(zmq.RECONNECT_IVL, 20)  # milliseconds: the kernel opens its sockets a while after us
            self._sockets.append(made)
        self._shell, self._iopub = self._sockets
        self._iopub.subscribe(b"")
        self._poller = zmq.asyncio.Poller()
        for number, made in enumerate(self._sockets, 1):
            self._poller.register(made, zmq.POLLIN)
            made.connect(f"ipc://{run / 'k'}-{number}")

    async def ready(self, seconds: float, alive: Callable[[], bool]) -> bool:
        """Waits until the kernel answers on both channels; whether it did.

        Asked again and again: what it publishes before our subscription has reached it is lost.
        """
        deadline, answered, heard = time.monotonic() + seconds, False, False
        while time.monotonic() < deadline and alive():
            if not answered or not heard:
                await self._send("kernel_info_request", {})
            for channel, reply in await self.receive(0.1):
                answered |= channel == "shell" and reply.get("msg_type") == "kernel_info_reply"
                heard |= channel == "iopub"
            if answered and heard:
                return True
        return False

    async def execute(self, code: str) -> str:
        """Asks for a run of the code; the id by which its replies name it."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        return await self._send("execute_request", {**content, "allow_stdin": False, "stop_on_error": False})

    async def receive(self, seconds: float) -> list[tuple[str, Reply]]:
        """What has come in, each with its channel, at most one a channel; empty when the time is over."""
        replies = []
        for ready, _ in await self._poller.poll(int(max(0.0, seconds) * 1000)):
            reply = self._read(await ready.recv_multipart())
            if reply is not None:
                replies.append(("shell" if ready is self._shell else "iopub", reply))
        return sorted(replies, key=lambda one: one[0])  # what was printed before the word that it is over

    def close(self) -> None:
        """Closes the sockets, in the loop they were made in."""
        for made in self._sockets:
            made.close(0)

    async def _send(self, kind: str, content: dict[str, Any]) -> str:
        message = self._session.msg(kind, content)
        await self._shell.send_multipart(self._session.serialize(message))
        return str(message["header"]["msg_id"])

    def _read(self, frames: list[bytes]) -> Reply | None:
        """A message; None where it is not one. Code in the kernel knows the key and can send us anything."""
        try:
            _, rest = self._session.feed_identities(frames)
            message = self._session.deserialize(rest)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return message if isinstance(message.get("content"), dict) else None


def answers(reply: Reply, request: str) -> bool:
    """Whether a message belongs to that request."""
    parent = reply.get("parent_header")
    return isinstance(parent, dict) and parent.get("msg_id") == request
