"""Specs of judges that are made of others.

first:SPEC|SPEC          the second stands in where the first fails
mean:, median:, min:     of SPEC|SPEC, or of 5*SPEC: five samples of one model
steps:SPEC               one model that labels each step of the agent as well; may stand inside the others
calibrated:FILE          the judge that `reagent calibrate` wrote the file about, with its map, gate and revision rule
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, get_args

from reagent_sdk.calibration.card import read_calibration
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge
from reagent_sdk.judges.calibrated import CalibratedJudge
from reagent_sdk.judges.ensemble import Combine, EnsembleJudge
from reagent_sdk.judges.fallback import FallbackJudge
from reagent_sdk.judges.model import ModelJudge

FORMS = "first:A|B, mean:A|B, median:5*A, min:A|B, steps:A, calibrated:FILE"


def composed(spec: str, make: Callable[[str], Judge]) -> Judge | None:
    """The judge of a composed spec; None for any other spec. The outermost form takes every `|`.

    Args:
        spec: what the user wrote.
        make: makes the judges that it is composed of.

    Raises:
        InvalidInput: the form is incomplete, or the calibration cannot be used.
    """
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in ("first", "calibrated", *get_args(Combine)):
        return None
    if not rest.strip("| "):
        raise InvalidInput(f"the judge {spec!r} is incomplete; composed judges are {FORMS}")
    if kind == "calibrated":
        return _calibrated(rest, make)
    if kind == "first":
        return FallbackJudge([make(part.strip()) for part in rest.split("|")])
    members = [member for part in rest.split("|") for member in _members(part.strip(), make)]
    return EnsembleJudge(members, cast(Combine, kind))


def _members(part: str, make: Callable[[str], Judge]) -> list[Judge]:
    count, star, spec = part.partition("*")
    if not (star and count.isdigit()):
        return [make(part)]
    judge = make(spec)
    if not isinstance(judge, ModelJudge):
        raise InvalidInput(f"{part!r}: only a single model can be sampled several times, not a composed judge")
    return list(judge.samples(int(count)))


def _calibrated(path: str, make: Callable[[str], Judge]) -> Judge:
    calibration = read_calibration(path)
    if not calibration.spec or calibration.spec.startswith("calibrated:"):
        raise InvalidInput(
            f"{path} does not say how to make the judge {calibration.judge!r}; in Python, pass "
            "CalibratedJudge(judge, read_calibration(path))"
        )
    return CalibratedJudge(make(calibration.spec), calibration)
