"""The scripted model as a server process: `python -m reagent_benchmarks.chaos.model_server --port 20000 --seed 0`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from reagent_benchmarks.chaos.faults import Script
from reagent_sdk.testing import ChatServer, Fault, Reply

MODEL = "chaos"


def main() -> None:
    """Serves until killed, or until its standard input closes: nothing is left when whoever started it dies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", required=True)
    args = parser.parse_args()
    script = Script(args.seed)

    def answer(body: Mapping[str, Any]) -> Reply | Fault:
        server.requests.clear()  # a record of all of them would be this process's only growth
        return script(body)

    with ChatServer(answer, model=MODEL, port=args.port) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
