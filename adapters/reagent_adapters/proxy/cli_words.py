"""What `reagent proxy` says on stdout and in its help."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from reagent_sdk.cli import exits

if TYPE_CHECKING:
    from reagent_adapters.proxy.host import Parties

EXAMPLES = """\b
Examples:
  reagent proxy --upstream http://127.0.0.1:8000/v1 --judge http://127.0.0.1:8001/v1
  reagent proxy --upstream https://api.openai.com/v1 --upstream-key-env OPENAI_API_KEY --judge local
  reagent proxy --upstream anthropic/claude-sonnet-4-5 --judge openai/gpt-5 --rounds 2 --accept 0.8
  reagent proxy --upstream https://api.openai.com/v1 --pass-through --judge http://10.0.0.5:8001/v1
  reagent proxy --new-key
  OPENAI_BASE_URL=http://127.0.0.1:8010/v1 python your_application.py

\b
A request's own policy, the strongest first:
  body      {"reagent": {"rounds": 2, "accept": 0.8}}        extra_body= of OpenAI's client
  header    X-Reagent-Policy: rounds=2, keep=best, floor=0.3
  model     NAME:critique, NAME:bare, NAME:rounds=2
"""


def announce(url: str, parties: Parties, caveat: str, *, as_json: bool) -> None:
    """Writes the line that says that the proxy can be used.

    Args:
        url: its base URL.
        parties: upstream and judge.
        caveat: what a reader of the judge's verdicts should know.
        as_json: whether programs read it.
    """
    from reagent_sdk.cli.terminal import one_line, to_stdout, write_json
    from reagent_sdk.secrets import redact

    upstream, judge = redact(parties.upstream), redact(parties.judge)
    if as_json:
        write_json({"url": url, "upstream": upstream, "judge": judge, "caveat": caveat, "pid": os.getpid()})
        return
    if caveat:
        exits.warn(caveat)
    to_stdout(f"proxy at {url} for {one_line(upstream)}, judged by {one_line(judge)}")
    sys.stdout.flush()


def show_new_key(*, as_json: bool) -> None:
    """Draws a key and writes it, for its owner, and its entry for the key file. Nothing is kept.

    The two do not go together into a key file: a line that is only a key is no TOML.

    Args:
        as_json: whether programs read it.
    """
    from reagent_adapters.proxy.key_file import new_key
    from reagent_sdk.cli.terminal import to_stdout, write_json

    key, digest = new_key()
    if as_json:
        write_json({"key": key, "sha256": digest})
        return
    to_stdout(f'{key}\n\n[[keys]]\nname = "NAME"\nsha256 = "{digest}"')
    sys.stdout.flush()
