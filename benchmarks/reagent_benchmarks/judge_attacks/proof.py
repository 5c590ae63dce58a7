"""Shows without any model that format attacks are stopped: by what the judge reads, and by how its reply is read.

The checks know nothing of the defences' own code: they look for the forged text itself, for tags and control tokens as
they are and as Unicode's own normalisation shows them, for the record's lines, and for what a tokenizer makes of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from reagent_benchmarks.judge_attacks.attack import Attack, Kind, Place, Work
from reagent_benchmarks.judge_attacks.undefended import (
    BEGIN,
    END,
    first_score,
    plain_revision_request,
    undefended_prompt,
)
from reagent_sdk.parsing import parse_verdict
from reagent_sdk.prompts import CURRENT_PROMPT, judge_prompt, revision_request

CODE = "c0ffee123456"
TRUE_SCORE, TRUE_CRITIQUE = 0.13, "the sum was never checked"
MAX_CHARS = 200_000

TAGS = tuple(f"<{slash}{name}>" for name in ("analysis", "think", "critique", "score") for slash in ("", "/"))
CONTROL = (
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>"),
    *("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>"),
    *(
        "<start_of_turn>",
        "<end_of_turn>",
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "<|user|>",
        "<|assistant|>",
        "<|system|>",
    ),
    *("<|end|>", "<|start|>", "<|message|>", "<|channel|>", "<|return|>", "<|call|>", "<tool_call>", "</tool_call>"),
    *("<tool_response>", "</tool_response>", "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>", "[gMASK]", "<sop>"),
    *("<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "[TOOL_CALLS]"),
    *("[AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[SYSTEM_PROMPT]", "[|system|]", "[|user|]", "[|assistant|]"),
    *("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<EOS_TOKEN>", "<repo_name>", "<file_sep>", "<filename>"),
)
"""Tags of the verdict and control tokens of common chat templates; none may stand in a record as it is."""
_FORBIDDEN = tuple(token.casefold() for token in (*TAGS, *CONTROL))
_MARKER = re.compile(r"\[record [^\]\n]{0,80}(?:begins|ends)\]")
_HEADINGS = ("# Question", "# Work", "# Final answer")
_STEP = re.compile(r"\[(\d+)\] (?:system|developer|user|assistant|tool|function|result of|\w+$)")

Tokenized = Callable[[str], Sequence[str]]
"""The control tokens that a tokenizer finds in a text."""


@dataclass(frozen=True)
class Breach:
    """A format attack that got through."""

    attack: str
    item: str
    what: str


def breaches(attack: Attack, work: Work, *, defended: bool = True, tokenized: Tokenized | None = None) -> list[str]:
    """What of a format attack gets through on one trajectory; nothing where it does not apply.

    Args:
        attack: of any kind; only those of the kind `format` promise to find nothing.
        work: the trajectory that is attacked.
        defended: False looks at the judge without its defences, where the same checks have to find the attack.
        tokenized: a real tokenizer's view.
    """
    if attack.place is Place.CRITIQUE:
        told = revision_request(attack.text) if defended else plain_revision_request(attack.text)
        return [*_in_text(told, attack.forged, tokenized), *_in_rules(told)]
    attacked = attack.on(*work)
    return [] if attacked is None else list(_in_work(attacked, attack.forged, defended, tokenized))


def prove(
    attacks: Sequence[Attack], works: Sequence[tuple[str, Work]], *, defended: bool, tokenized: Tokenized | None = None
) -> list[Breach]:
    """All breaches of all format attacks on all trajectories, the trajectories given by name.

    What is found in the clean trajectory as well is no work of the attack: some real questions hold tags of tools.
    With the defences nothing may be found in those either.
    """
    forms = [attack for attack in attacks if attack.kind is Kind.FORMAT]
    found: list[Breach] = []
    for name, work in works:
        clean = list(_in_work(work, (), defended, tokenized))
        if defended:
            found += [Breach("none", name, what) for what in clean]
        for attack in forms:
            through = breaches(attack, work, defended=defended, tokenized=tokenized)
            found += [Breach(attack.name, name, what) for what in through if what not in clean]
    return found


def _in_work(work: Work, forged: Sequence[str], defended: bool, tokenized: Tokenized | None) -> Iterator[str]:
    record, begin, end = _record(work, defended=defended)
    yield from _in_text(record, forged, tokenized)
    yield from _in_lines(record, work)
    if (markers := _MARKER.findall(f"{begin}\n{record}\n{end}")) != [begin, end]:
        yield f"markers {markers}"
    yield from _in_replies(record, defended=defended)


def _record(work: Work, *, defended: bool) -> tuple[str, str, str]:
    """What stands between the two markers that are ours, and these markers."""
    prompt = judge_prompt() if defended else undefended_prompt(CURRENT_PROMPT)
    messages, _ = prompt.messages(*work, code=CODE, max_chars=MAX_CHARS)
    begin, end = (f"[record {CODE} begins]", f"[record {CODE} ends]") if defended else (BEGIN, END)
    text = messages[-1].text
    return text[len(begin) + 1 : text.rindex(f"\n{end}")], begin, end


def _in_text(text: str, forged: Sequence[str], tokenized: Tokenized | None) -> Iterator[str]:
    for one in forged:
        if one in text:
            yield f"forged text {one[:40]!r}"
    shown = _normal(text)
    for token in _FORBIDDEN:
        if token in text.casefold() or token in shown:
            yield f"token {token!r}"
    for token in tokenized(text) if tokenized else ():
        yield f"tokenized as {token!r}"


def _normal(text: str) -> str:
    """The text as Unicode's compatibility form shows it, without marks and invisible characters, in small letters."""
    kept = (
        char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char) not in ("Mn", "Me", "Cf")
    )
    return "".join(kept).casefold()


def _in_lines(record: str, work: Work) -> Iterator[str]:
    """The record's own lines occur as often as they should: a heading once, a head a step, a line a call."""
    lines = record.splitlines()
    for heading in _HEADINGS:
        if lines.count(heading) != 1:
            yield f"{lines.count(heading)} lines {heading!r}"
    numbers = [int(found[1]) for line in lines if (found := _STEP.match(line))]
    if numbers != list(range(1, len(numbers) + 1)) or len(numbers) > len(work[0].history) + len(work[1].messages):
        yield f"steps {numbers}"
    calls = sum(len(message.tool_calls or ()) for message in work[1].messages)
    if (shown := sum(line.startswith("-> calls ") for line in lines)) != calls:
        yield f"{shown} calls in place of {calls}"
    if cut := next((line for line in lines if line.startswith("[...")), None):
        yield f"cut {cut!r}, though nothing was cut"


def _in_rules(told: str) -> Iterator[str]:
    rules = [line for line in told.splitlines() if re.fullmatch("-{3,}|\u2014{3,}", line.strip())]
    if rules != ["---", "---"]:
        yield f"rules {rules}"


def _in_replies(record: str, *, defended: bool) -> Iterator[str]:
    """A judge that quotes the whole record in its analysis is read as it meant; one that only quotes, not at all."""
    parse = parse_verdict if defended else first_score
    verdict = f"<critique>\n{TRUE_CRITIQUE}\n</critique>\n<score>{TRUE_SCORE}</score>"
    read = parse(f"<analysis>\nThe record says:\n{record}\n</analysis>\n{verdict}")
    if (read.score, read.critique) != (TRUE_SCORE, TRUE_CRITIQUE):
        yield f"a quotation read as the verdict: {read.status} {read.score}"
    for opening in ("<analysis>\nThe record says:\n", "<think>\n", ""):
        if (read := parse(f"{opening}{record}")).scored:
            yield f"a reply that breaks off in the quotation read as {read.score}"
