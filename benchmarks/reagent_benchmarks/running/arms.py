"""The arms of a study: what each does with the same first attempt."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from reagent_sdk.errors import InvalidInput
from reagent_sdk.policy import Policy


class Arm(StrEnum):
    """What is done with the first attempt, and which answer counts."""

    BARE = "bare"
    """Nothing: the first attempt is the answer, and nobody judges it."""
    CRITIQUE = "critique"
    """Always one revision; of both attempts the better scored one is the answer."""
    ALWAYS = "always"
    """The paper's Reagent-C: always one revision, and it is the answer."""
    GATED = "gated"
    """A revision only below the judge's gate and revision rule; the better scored attempt is the answer."""

    @property
    def policy(self) -> Policy:
        """The rules of its runs."""
        return _POLICIES[self]

    @property
    def judged(self) -> bool:
        """Whether it needs a judge."""
        return self is not Arm.BARE


_POLICIES = {
    Arm.BARE: Policy(rounds=0, keep="last", accept=None, revise_below=None),
    Arm.CRITIQUE: Policy(rounds=1, keep="best", accept=None, revise_below=None),
    Arm.ALWAYS: Policy(rounds=1, keep="last", accept=None, revise_below=None),
    Arm.GATED: Policy(rounds=1, keep="best", accept="gate", revise_below="judge"),
}


def arms_of(given: str | Sequence[str]) -> tuple[Arm, ...]:
    """The arms that a list names, in the order of `Arm`.

    Args:
        given: names with commas between them, or a list: inspect_ai's command line makes one of such a text.

    Raises:
        InvalidInput: there is no such arm, or none is named.
    """
    text = given if isinstance(given, str) else ",".join(given)
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in list(Arm):
            raise InvalidInput(f"there is no arm {name!r}; there are {', '.join(Arm)}")
    if not names:
        raise InvalidInput(f"no arm is named; name some of {', '.join(Arm)}")
    return tuple(arm for arm in Arm if arm in names)
