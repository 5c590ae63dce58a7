r"""Mathematical answers: equal by value, decided here for plain numbers and by math-verify for everything else.

math-verify takes any expression of the right value. Restating the question ("2 + 2", `\int_0^1 x dx`) would then be an
answer, so that a number has to be given as a number here, and nothing may be left to sum, integrate or take limits of.
"""

from __future__ import annotations

import queue
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import anyio.to_thread

from reagent_benchmarks.grading.base import Grade, RuleGrader
from reagent_benchmarks.grading.final import bare, plain
from reagent_benchmarks.grading.maths_process import MathsProcess
from reagent_benchmarks.grading.quantities import quantity
from reagent_benchmarks.grading.text import same_text
from reagent_sdk.errors import InvalidInput, MissingExtra

_LONGEST = 500
_DEEPEST = 20
_INLINE = re.compile(r"\$\$?([^$\n]{1,500}?)\$\$?|\\\((.{1,500}?)\\\)|\\\[(.{1,500}?)\\\]")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_WORDS_ALONE = re.compile(r"[^\W\d_][^\d\\=+*/^_<>{}|$]*")
_SPACING = re.compile(r"\\(?:left|right|displaystyle|quad|qquad|,|!|;|:| )(?![a-zA-Z])|[\s$]")
_POWER_OF_TEN = re.compile(r"(?:\\times|\\cdot|\u00d7|\*)\s{0,3}10\s{0,3}(?:\^|\*\*)\s{0,3}(?:\{-?\d{1,4}\}|-?\d{1,4})")
_TO_DO = re.compile(
    r"[+*!\u00d7\u00f7]|(?<=[\w)}\]])\s{0,3}[-\u2212]|\^(?!\{?\\circ)|\\(?:times|cdot|div|sqrt|binom|[bp]?mod|gcd|lcm|max|min"
    r"|log|ln|exp|sin|cos|tan|sec|csc|cot|arc\w{3}|l?floor|l?ceil|sum|prod|i*int|oint|lim|det)(?![a-z])"
)
_LEFT_TO_DO = re.compile(r"\\(?:sum|prod|i*int|oint|lim|det|frac\{d)(?![a-z])")


class MathsGrader(RuleGrader):
    """Right: the same value, set, interval or expression as a reference.

    Units may be left out. "50%" is 50 and 0.5. Order counts in pairs and not in sets. A reference of words alone, such
    as `\\text{east}`, is compared as a text. Safe to use from several threads and event loops at once.

    Args:
        seconds: processor time for one comparison; an answer that needs more is wrong.
        memory_mb: memory of a comparing process.
        processes: comparisons at a time; each process takes some 100 MB.
        wall: seconds on the clock after which nobody knows (`right` is None), because the machine is too busy.

    Raises:
        InvalidInput: a number that cannot work.
        MissingExtra: math-verify is not installed.
    """

    name = "maths"

    def __init__(self, *, seconds: int = 3, memory_mb: int = 1024, processes: int = 1, wall: float = 60.0) -> None:
        if min(seconds, processes) < 1 or memory_mb < 256 or wall < seconds:
            raise InvalidInput("seconds and processes must be at least 1, memory_mb 256, and wall no less than seconds")
        from importlib.util import find_spec

        if find_spec("math_verify") is None:
            raise MissingExtra("grading maths", "benchmarks")
        self._free: queue.LifoQueue[MathsProcess] = queue.LifoQueue()
        for _ in range(processes):
            self._free.put(MathsProcess(seconds, memory_mb, wall))

    def compare(self, said: str, references: Sequence[str], question: str) -> Grade:
        """Compares here what is plain, and asks a process for the rest."""
        golds, told = [bare(reference) for reference in references], _formula(said)
        if len(told) > _LONGEST or _depth(told) > _DEEPEST:
            return Grade.of(False, f"{len(told)} characters, nested {_depth(told)} deep, are no answer")
        if any(_plainly(told, gold) for gold in golds):
            return Grade.of(True, f"says {told!r}")
        open_golds = [gold for gold in golds if not _settled(told, gold)]
        if not open_golds:
            return Grade.of(False, f"says {told!r}, not {golds[0]!r}")
        with self._process() as process:
            compared = process.compare(open_golds, told)
        if compared.right is None:
            return Grade.failed(compared.why)
        if compared.right:
            return Grade.of(True, f"{told!r} equals {golds[0]!r}" if len(golds) == 1 else f"{told!r} is right")
        return Grade.of(False, compared.why or f"says {told!r}, not {golds[0]!r}")

    async def grade(
        self, answer: str, references: Sequence[str], *, question: str = "", cut_off: bool = False
    ) -> Grade:
        """The same as `check`, off the event loop."""
        return await anyio.to_thread.run_sync(
            lambda: self.check(answer, references, question=question, cut_off=cut_off)
        )

    def close(self) -> None:
        """Ends the processes that are idle; they start again when they are needed."""
        idle = []
        while not self._free.empty():
            idle.append(self._free.get())
        for process in idle:
            process.close()
            self._free.put(process)

    @contextmanager
    def _process(self) -> Iterator[MathsProcess]:
        process = self._free.get()
        try:
            yield process
        finally:
            self._free.put(process)


def _formula(said: str) -> str:
    """The formula alone, where a sentence holds exactly one."""
    found = _INLINE.findall(said)
    return bare(next(part for part in found[0] if part)) if len(found) == 1 else bare(said)


def _plainly(told: str, gold: str) -> bool:
    """Whether they are equal at first sight: as written, as words, or as numbers."""
    if _compact(told) == _compact(gold) or (_is_words(gold) and same_text(plain(told), plain(gold))):
        return True
    given, wanted = quantity(told), quantity(gold)
    return given is not None and wanted is not None and given.fits(wanted) and given.same_value(wanted)


def _settled(told: str, gold: str) -> bool:
    """Whether nothing is left to ask: what is not plainly equal is certainly wrong."""
    if _is_words(gold):
        return True
    given, wanted = quantity(told), quantity(gold)
    if given is not None and wanted is not None:
        return True
    to_do = _TO_DO if wanted is not None else _LEFT_TO_DO
    conclusion = _POWER_OF_TEN.sub("", plain(told).rpartition("=")[2])
    return len(to_do.findall(conclusion)) > len(to_do.findall(_POWER_OF_TEN.sub("", gold)))


def _is_words(gold: str) -> bool:
    text = plain(gold)
    return _WORDS_ALONE.fullmatch(text) is not None and _WORD.search(text) is not None


def _compact(text: str) -> str:
    """A formula as it is written, without spacing, dollar signs and a full stop."""
    text = re.sub(r"\\[dt]frac", r"\\frac", _SPACING.sub("", plain(text)))
    return re.sub(r"\{(\w)\}", r"\1", text).replace("\u2212", "-").rstrip(".")


def _depth(text: str) -> int:
    """How deep brackets of any kind are nested; (1, 2] is one of them."""
    deepest = depth = 0
    for char in text:
        depth = max(0, depth + (char in "([{") - (char in ")]}"))
        deepest = max(deepest, depth)
    return deepest
