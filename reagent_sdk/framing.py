"""Keeps judged text from passing for ours.

Everything in a trajectory is hostile until proven otherwise: it may hold fake verdicts, fake chat-control tokens, a
fake end of the record or fake steps. Three deterministic defences: `defuse` breaks every look-alike of our tags and of
the common chat control tokens, `defuse_lines` breaks lines that imitate the record's own, and `frame` sets the text
between marker lines that carry a secret code.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from reagent_sdk.lookalikes import fold, origins

BLOCKS = ("analysis", "think", "critique", "score")
"""Names of the verdict's blocks; `think` is the published Agent-RRM's name for the analysis."""

_PREFIXES = (
    *("im_start", "im_end", "endoftext", "start_of_turn", "end_of_turn", "start_header_id", "end_header_id", "eot_id"),
    *("tool_call", "tool_response", "function_call", "begin_of_text", "end_of_text", "beginofsentence"),
    *("endofsentence", "start_function", "end_function", "tool_result", "tool_sep", "arg_key", "arg_value"),
    *("fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "reserved_", "extra_id_", "seed:"),
)
"""How control tokens begin that nothing else in angle brackets looks like."""
_WHOLE = (
    *("s", "bos", "eos", "pad", "unk", "mask", "cls", "sep", "eop", "sop", "eod", "eoh", "eoa", "eot", "eom"),
    *("sys", "parameter", "invoke", "function_calls"),
    *("bos_token", "eos_token", "tools", "function", "system", "assistant", "user", "repo_name", "reponame"),
    *("filename", "file_sep", "gh_stars", "issue_start", "issue_comment", "issue_closed", "empty_output"),
    *(f"jupyter_{part}" for part in ("start", "text", "code", "output", "script")),
    *("end_of_utterance", "start_of_image", "end_of_image", r"unused\d{1,5}", r"special_?\d{1,5}"),
)
"""Control tokens that only count when the bracket closes right behind them."""
_SQUARE = (
    *("inst", "sys", "system_prompt", "available_tools", "tool_calls", "tool_results", "tool_content", "think"),
    *("gmask", "smask"),
)
_LEET = {"a": "a4@", "e": "e3", "i": "i1l!", "l": "l1i", "o": "o0", "s": "s5$", "t": "t7"}

_SAFE_OPEN = "\u2039"
_SAFE_SQUARE = "\u2768"
_SAFE_LINE = {"#": "\u2317", "[": _SAFE_SQUARE, "-": "~"}


def _word(name: str) -> str:
    """A pattern of everything that reads as a block's name in folded text, digits for letters included."""
    return "".join(f"[{_LEET[char]}]" if char in _LEET else re.escape(char) for char in name)


# All patterns but _BAR and _HIDDEN read folded text: lower case, nothing invisible, no look-alikes.
_BAR = re.compile("[<\uff1c](?=[|\uff5c])")
_OPEN = r"(?:<|&(?:amp;){0,4}(?:lt|#0{0,6}60|#x0{0,6}3c);?|\\{1,4}(?:u003c|x3c)|%(?:25){0,4}3c)"
_NAMES = "|".join([*map(_word, BLOCKS), *map(re.escape, _PREFIXES)])
_TAG = re.compile(
    rf"{_OPEN}(?:(?=[<|/\\]{{0,4}}(?:[a-z]{{2,12}}[:_|])?(?:{_NAMES}))|(?=<?[/\\]?(?:{'|'.join(_WHOLE)})(?:>|&gt))"
    rf"|(?=(?:function|parameter|invoke)=)|(?=[/\\]?\|[^<>|]{{1,60}}\|>)|(?=[a-z_]{{1,30}}\|>))"
)
_STEPS_TAG = re.compile(rf"{_OPEN}(?=[<|/\\]{{0,4}}(?:[a-z]{{2,12}}[:_|])?{_word('steps')})")
_BRACKET = re.compile(rf"\[(?=/?(?:{'|'.join(_SQUARE)})\]|/?\||e~\[)|\](?=~!?b\])")
_OWN = (
    r"#(?:question|work|finalanswer)|\[\d{1,9}\](?:system|developer|user|assistant|tool|function|resultof)|->calls|"
    r"\[(?:\.\.\.)?\d{1,12}(?:characters|steps)leftout"
)
_OWN_ANYWHERE = re.compile(_OWN + r"|\[\d{1,9}\][a-z]|\[record|-{3}")
_OWN_LINE = re.compile(rf"#{{0,5}}(?:{_OWN})|\[\d{{1,9}}\][a-z_]{{1,20}}$")  # a role may have any name
_RULE = re.compile(r"-{3,}")
_MARKER = re.compile(r"\[record(?=.{0,80}?(?:begin|end)s?\])")
_TAGS_OF_PLANE_14 = "[\U000e0000-\U000e007f]"
_HIDDEN = re.compile(
    rf"(\U0001f3f4{_TAGS_OF_PLANE_14}{{1,7}})|{_TAGS_OF_PLANE_14}+|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{{2,}}"
)


def defuse(text: str) -> str:
    """Breaks look-alikes of our tags and of chat control tokens; all other text stays as it is.

    The opening bracket becomes a single guillemet, so that a person still reads what was there. Text hidden in
    characters that are never drawn, and lone surrogates, which no wire format can carry, become replacement
    characters. The length never changes.
    """
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
        text = _HIDDEN.sub(lambda found: found[1] or "\ufffd" * len(found[0]), text)
    text = _BAR.sub(_SAFE_OPEN, text)
    folded = fold(text)
    tags = [found.start() for found in _TAG.finditer(folded)]
    brackets = [found.start() for found in _BRACKET.finditer(folded)]
    if not tags and not brackets:
        return text
    origin = origins(text)
    chars = list(text)
    for position in tags:
        chars[origin[position]] = _SAFE_OPEN
    for position in brackets:
        chars[origin[position]] = _SAFE_SQUARE
    return "".join(chars)


def defuse_steps(text: str) -> str:
    """Breaks look-alikes of the tag <steps>, which only a judge that is asked for steps may write; keeps the length."""
    found = [match.start() for match in _STEPS_TAG.finditer(fold(text))]
    if not found:
        return text
    origin, chars = origins(text), list(text)
    for position in found:
        chars[origin[position]] = _SAFE_OPEN
    return "".join(chars)


def defuse_lines(text: str, *, rules: bool = False) -> str:
    """Defuses a text, and breaks lines that imitate those of a record: headings, heads of steps, calls, cuts, markers.

    Without this, an answer could append a tool result that never was, and the judge could not tell. With `rules`,
    lines of dashes, which end a critique on its way to the agent, are broken as well.
    """
    text = defuse(text)
    if not _OWN_ANYWHERE.search(fold(text)):
        return text
    return "".join(_without_own_line(line, rules) for line in text.splitlines(keepends=True))


def one_line(text: str) -> str:
    """A defused name, for the head of a step: whatever white space it holds, it stays in its line."""
    return defuse_lines(" ".join(text.split()))


def _without_own_line(line: str, rules: bool) -> str:
    folded = fold(line)
    found = {match.start() for match in _MARKER.finditer(folded)}
    if _OWN_LINE.match(folded) or (rules and _RULE.fullmatch(folded)):
        found.add(0)
    if not found:
        return line
    origin, chars = origins(line), list(line)
    for position in found:
        chars[origin[position]] = _SAFE_LINE[folded[position]]
    return "".join(chars)


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
    """Text between two marker lines with the code, which the text cannot hold. Defuses tags that span its parts."""
    return f"[{label} {code} begins]\n{defuse(text).replace(code, '?')}\n[{label} {code} ends]"
