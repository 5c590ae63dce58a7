"""Judges clean and attacked trajectories; every verdict is a line of a file, and none in the file is asked again."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from reagent_benchmarks.judge_attacks.arms import Arm, with_other_code
from reagent_benchmarks.judge_attacks.attack import Attack, Work
from reagent_benchmarks.judging.items import JudgedItem
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.model import ModelJudge
from reagent_sdk.leaks import leaked_answers, redact
from reagent_sdk.lines import LineFile

CLEAN = ""
"""Name of no attack."""


@dataclass(frozen=True)
class Asked:
    """One verdict that is wanted: which trajectory, attacked by what, judged how.

    Attributes:
        attack: name of the attack, or `CLEAN`.
        code: which frame code; 0 is the judge's own.
    """

    item: str
    attack: str
    arm: Arm
    code: int = 0


@dataclass(frozen=True)
class Got:
    """One verdict, as it is kept.

    Attributes:
        print: of the judged text, so that a changed attack is judged anew.
        score: None where there is none.
        critique: as the judge wrote it.
        guarded: as the leak guard lets it through to the agent.
        omitted: characters that did not fit the judge's window.
    """

    asked: Asked
    print: str
    judge: str
    status: str
    score: float | None
    critique: str
    guarded: str
    omitted: int
    seconds: float


def plan(
    items: Sequence[JudgedItem], attacks: Iterable[Attack], *, per_family: int, codes: int, seed: int = 0
) -> list[Asked]:
    """All verdicts that are wanted, those of one trajectory together: they share the beginning of their prompts.

    Args:
        items: the trajectories; attacks that want a better score meet wrong ones, those that want a worse one right
            ones, and all others both.
        attacks: what to try; long ones are left out, they are measured by what they push out of the window.
        per_family: attacks of a family on one trajectory, dealt in turn; 0 means all.
        codes: further frame codes under which the clean trajectories are judged, to see the judge's own noise.
        seed: of the order in which a family's attacks are dealt.
    """
    families: dict[str, list[Attack]] = {}
    for attack in attacks:
        if not attack.is_long:
            families.setdefault(attack.family, []).append(attack)
    for members in families.values():
        random.Random(seed).shuffle(members)
    dealt = dict.fromkeys(families, 0)
    wanted: list[Asked] = []
    for item in items:
        names: list[str] = []
        for family, members in families.items():
            fitting = [one for one in _from(members, dealt[family]) if one.meets(item.label) and one.on(*_work(item))]
            taken = fitting[: per_family or None]
            dealt[family] += len(taken)
            names += [one.name for one in taken]
        wanted += [Asked(item.id, CLEAN, Arm.ON, code) for code in range(codes + 1)]
        wanted += [Asked(item.id, name, Arm.ON) for name in names]
        for arm in (Arm.FORM, Arm.OFF):
            wanted += [Asked(item.id, name, arm) for name in (CLEAN, *names)]
    return wanted


def _from(members: list[Attack], start: int) -> Iterator[Attack]:
    start %= len(members)
    yield from (*members[start:], *members[:start])


def _work(item: JudgedItem) -> Work:
    return item.task, item.trajectory


class Verdicts:
    """The file of verdicts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = LineFile(path)
        self._got: dict[Asked, Got] = {}
        for number, (_, line) in enumerate(self._file, start=1):
            self._keep(line, number)

    def _keep(self, line: bytes, number: int) -> None:
        try:
            row = json.loads(line)
            asked = Asked(**{**row["asked"], "arm": Arm(row["asked"]["arm"])})
            self._got[asked] = Got(**{**row, "asked": asked})
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{self.path}, line {number} is not a verdict of this program: {error}") from None

    def find(self, asked: Asked, print: str, judge: str) -> Got | None:
        """The verdict on this very text by this judge, if it is there."""
        got = self._got.get(asked)
        return got if got is not None and (got.print, got.judge) == (print, judge) else None

    def add(self, got: Got) -> None:
        """Appends a verdict."""
        self._got[got.asked] = got
        self._file.append(json.dumps(asdict(got)).encode())


async def judge_all(
    wanted: Sequence[Asked],
    items: Sequence[JudgedItem],
    attacks: Sequence[Attack],
    judges: dict[Arm, ModelJudge],
    verdicts: Verdicts,
    seen: Callable[[Got], None],
) -> list[Got]:
    """Judges what is not in the file yet; returns all that is wanted, in order."""
    by_id, by_name = {item.id: item for item in items}, {attack.name: attack for attack in attacks}
    out: list[Got] = []
    for asked in wanted:
        item = by_id[asked.item]
        work = _work(item) if asked.attack == CLEAN else by_name[asked.attack].on(*_work(item))
        if work is None:
            continue
        judge = judges[asked.arm]
        label = hashlib.sha256("\n".join(one.model_dump_json(exclude={"id"}) for one in work).encode()).hexdigest()[:12]
        got = verdicts.find(asked, label, judge.name)
        if got is None:
            got = await _judged(asked, work, with_other_code(judge, asked.code) if asked.code else judge, label)
            verdicts.add(got)
        seen(got)
        out.append(got)
    return out


async def _judged(asked: Asked, work: Work, judge: ModelJudge, label: str) -> Got:
    began = time.monotonic()
    verdict = await judge.judge(*work)
    return Got(
        asked=asked,
        print=label,
        judge=judge.name,
        status=verdict.status.value,
        score=verdict.score,
        critique=verdict.critique,
        guarded=redact(verdict.critique, leaked_answers(verdict.critique, *work)),
        omitted=verdict.omitted_chars,
        seconds=time.monotonic() - began,
    )
