"""Keeps judged text from passing for ours.

Everything in a trajectory is hostile until proven otherwise: it may hold fake verdicts, fake chat-control tokens or a
fake end of the record. Two deterministic defences: `defuse` breaks every look-alike of our tags and of the common chat
control tokens, and `frame` sets the text between marker lines that carry a secret code.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

BLOCKS = ("analysis", "think", "critique", "score")
"""Names of the verdict's blocks; `think` is the published Agent-RRM's name for the analysis."""

_CONTROL = ("im_start", "im_end", "endoftext", "start_of_turn", "end_of_turn", "eot_id", "tool_call", "tool_response")
_OPEN = "<\uff1c\ufe64\u2039\u27e8\u3008\u276e\u1438\u02c2"
_SAFE_OPEN = "\u2039"
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
)
_JUNK = rf"[\s{_INVISIBLE}\U000e0000-\U000e007f]{{0,16}}"
_LOOKALIKE = {
    "a": "\u0430\u03b1\u0251", "c": "\u0441\u03f2\u217d", "e": "\u0435\u0454\u212e", "i": "\u0456\u03b9\u0131\u2170",
    "k": "\u043a\u03ba", "l": "\u04cf\u217c\u0049\u0031", "n": "\u0578\u03b7", "o": "\u043e\u03bf\u0585\u0030",
    "q": "\u051b", "r": "\u0433", "s": "\u0455\ua731", "t": "\u0442\u03c4", "u": "\u057d\u03c5", "y": "\u0443\u03b3",
    "h": "\u04bb", "d": "\u0501\u217e", "x": "\u0445\u03c7", "f": "\u0192", "p": "\u0440\u03c1", "m": "\u043c\u217f",
}  # fmt: skip


def _letter(char: str) -> str:
    """A character class of everything that reads as `char`: its full-width form and look-alikes of other scripts."""
    if not char.isalpha():
        return re.escape(char)
    wide = chr(ord(char) - ord("a") + 0xFF41) + chr(ord(char) - ord("a") + 0xFF21)
    alike = _LOOKALIKE.get(char, "")
    return f"[{char}{char.upper()}{wide}{alike}{alike.upper()}]"


def _word(name: str) -> str:
    return _JUNK.join(_letter(char) for char in name)


_NAMES = "|".join(_word(name) for name in BLOCKS + _CONTROL)
_TAG = re.compile(rf"[{_OPEN}](?=(?:{_JUNK}[/\uff0f\u2215\u2044\\])?{_JUNK}(?:{_NAMES})|\|)")
_INST = re.compile(r"\[(?=/?INST\]|/?SYS\])|<(?=</?SYS>>|/?s>)", re.IGNORECASE)


def defuse(text: str) -> str:
    """Breaks look-alikes of our tags and of chat control tokens; all other text stays as it is.

    The opening bracket becomes a single guillemet, so that a person still reads what was there, and lone surrogates,
    which no wire format can carry, become replacement characters.
    """
    text = text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
    return _INST.sub("\u2768", _TAG.sub(_SAFE_OPEN, text))


def new_secret() -> bytes:
    """A secret for :func:`nonce`, drawn from the operating system."""
    return secrets.token_bytes(16)


def nonce(secret: bytes, text: str) -> str:
    """The code of a frame: 12 hex digits that nobody without the secret can foretell.

    It depends on the task alone, not on the call. The rounds of one run then share their prompt up to the point where
    the attempts differ, which lets a server answer that part from its prefix cache.
    """
    return hmac.new(secret, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:12]


def frame(label: str, code: str, text: str) -> str:
    """Text between two marker lines with the code. The text must be defused and cannot hold the code by chance."""
    return f"[{label} {code} begins]\n{text.replace(code, '?')}\n[{label} {code} ends]"
