"""What was found out about one judge under one prompt, as a file that a judge can be loaded with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from reagent_sdk.calibration.maps import ScoreMap
from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen, first_problem
from reagent_sdk.replacing import replacing

FILE_NAME = "calibration.json"


class Estimate(Frozen):
    """A measured value with its confidence interval. All three are None where the data cannot tell."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        return f"{self.value:.3f}" + ("" if self.low is None else f" [{self.low:.3f}, {self.high:.3f}]")


class Gate(Frozen):
    """An accept threshold with a promise: with `confidence`, at most `target` of what it accepts is wrong.

    The promise holds for work like the labelled work it was fitted on, and for this judge and prompt only.
    """

    threshold: float = Field(ge=0, le=1, description="on the judge's own score, before any map")
    target: float = Field(gt=0, lt=1, description="largest share of wrong work among the accepted")
    confidence: float = Field(gt=0, lt=1)
    accepted: int = Field(ge=1, description="labelled runs that it accepts")
    wrong: int = Field(ge=0, description="how many of those are wrong")
    bound: float = Field(ge=0, le=1, description="upper confidence bound of the share of wrong work among the accepted")
    method: str = Field(description="how the threshold was chosen")


class RevisionRule(Frozen):
    """Below which score a revision pays: there, `fixed` of the labelled pairs were mended and `broken` were spoiled."""

    below: float | None = Field(ge=0, le=1, description="revise work scored below this; 0 never revises, None always")
    confidence: float = Field(gt=0, lt=1)
    pairs: int = Field(ge=0, description="labelled pairs it was fitted on")
    revised: int = Field(ge=0, description="pairs that the rule revises")
    fixed: int = Field(ge=0, description="of those, wrong before and right after")
    broken: int = Field(ge=0, description="of those, right before and wrong after")
    method: str = Field(description="how the rule was chosen")
    reason: str = Field("", description="why it never revises; empty where it does")
    pairs_needed: int | None = Field(None, ge=1, description="pairs it would take to certify one")


class Calibration(Frozen):
    """A judge's calibration, bound to its name and prompt version."""

    schema_version: Literal[1] = 1
    judge: str = Field(description="name of the judge, as on its verdicts")
    spec: str | None = Field(None, description="how to make that judge again; None for judges that no spec names")
    prompt_version: str = ""
    map: ScoreMap | None = None
    gate: Gate | None = None
    revision: RevisionRule | None = None
    labels: int = Field(ge=0, description="scored, labelled runs it was fitted on")
    right: float | None = Field(None, ge=0, le=1, description="share of them that is right: what a constant would say")
    data_sha256: str = Field("", description="of ids, scores and labels")
    figures: Mapping[str, Estimate] = Field(default_factory=dict, description="measured results by name")
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.judge:
            raise ValueError("a calibration names its judge")
        return self


def read_calibration(path: str | Path) -> Calibration:
    """Reads a calibration.

    Raises:
        InvalidInput: there is no such file, or it is not a calibration that this release reads.
    """
    file = Path(path).expanduser()
    try:
        return Calibration.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot read the calibration {file}: {error.strerror}") from error
    except ValidationError as error:
        raise InvalidInput(
            f"{file} is not a calibration ({first_problem(error, 'file')}); `reagent calibrate` writes one"
        ) from None


def write_calibration(path: str | Path, calibration: Calibration) -> Path:
    """Writes a calibration in one step: whoever reads meanwhile gets the old one or the new one."""
    file = Path(path).expanduser()
    with replacing(file) as draft:
        draft.write(calibration.model_dump_json(indent=2).encode() + b"\n")
    return file
