"""Stands in for vLLM's server: takes its command line, speaks its protocol, and dies when asked to.

$FAKE_VLLM_NOTES names a file that every start appends a line to: the arguments, and the processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

arguments = sys.argv[1:]
KEY = os.environ["VLLM_API_KEY"]


def value(flag: str) -> str:
    return arguments[arguments.index(flag) + 1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(200, b"")
        elif self.path == "/metrics":
            self.answer(200, b"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 0.0\n", "text/plain")
        elif self.headers["Authorization"] != f"Bearer {KEY}":
            self.answer(401, b"{}")
        else:
            names = [value("--served-model-name")]
            if "--lora-modules" in arguments:
                after = arguments[arguments.index("--lora-modules") + 1 :]
                names += [pair.partition("=")[0] for pair in after if "=" in pair]
            rows = [{"id": name, "object": "model", "owned_by": "vllm", "root": "/secret/path"} for name in names]
            self.answer(200, json.dumps({"object": "list", "data": rows}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self.answer(401, b"{}")
            return
        asked = body["messages"][-1]["content"]
        if asked == "die":
            os._exit(9)
        if asked == "flood":
            self.flood()
            return
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
        message = {"role": "assistant", "content": f"asked as {body.get('model')}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.answer(200, json.dumps({"choices": [choice], "usage": usage}).encode())

    def flood(self) -> None:
        """An endless stream; notes how much of it was taken before the reader went away."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        sent = 0
        try:
            while True:
                note("flood", {"sent": sent})
                self.wfile.write(b"data: " + b"x" * 2**20 + b"\n\n")
                sent += 2**20
        except OSError:
            note("flood_over", {"sent": sent})

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def note(what: str, told: dict[str, object]) -> None:
    with Path(os.environ["FAKE_VLLM_NOTES"]).open("a") as notes:
        notes.write(json.dumps({"what": what, **told}) + "\n")


def main() -> None:
    # vLLM's engine is a process of its own; this one even leaves the session.
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    note("start", {"arguments": arguments, "pids": [os.getpid(), helper.pid], "environment": sorted(os.environ)})
    if "--fail" in arguments:
        sys.exit("unrecognized arguments: --fail")
    while (gate := os.environ.get("FAKE_VLLM_GATE")) and not Path(gate).exists():
        time.sleep(0.02)
    sys.stdout.write(f"serving with {KEY}\n")
    sys.stdout.flush()
    ThreadingHTTPServer(("127.0.0.1", int(value("--port"))), Handler).serve_forever()


main()
