"""Splits by group: every row of a question lands in the same part, whatever else the set holds.

The part is a hash of the group and a seed. Nothing depends on the other rows, so rows that come later never move a
group. The price: the shares are met on average over groups, not exactly.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

from reagent_sdk.errors import InvalidInput

_BITS = 64


def part_of(group: str, shares: Mapping[str, float], *, seed: int = 0) -> str:
    """The part that a group belongs to.

    Args:
        group: the question.
        shares: part -> its share of the groups; they add up to 1. Their order matters, their later growth does not: a
            part keeps the groups it has when its own share and those before it stay.
        seed: another seed is another split.

    Raises:
        InvalidInput: the shares are not all positive or do not add up to 1.
    """
    check_shares(shares)
    digest = hashlib.sha256(f"{seed}:{group}".encode("utf-8", "surrogatepass")).digest()
    place = int.from_bytes(digest[: _BITS // 8]) / 2**_BITS
    edge = 0.0
    for part, share in shares.items():
        edge += share
        if place < edge:
            return part
    return list(shares)[-1]


def check_shares(shares: Mapping[str, float]) -> None:
    """Checks the shares of a split.

    Raises:
        InvalidInput: fewer than two parts, a share that is not positive, or shares that do not add up to 1.
    """
    if len(shares) < 2 or not all(math.isfinite(share) and share > 0 for share in shares.values()):
        raise InvalidInput(f"a split has two parts or more, each with a positive share, not {dict(shares)}")
    if not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
        raise InvalidInput(f"the shares of a split add up to 1, these to {sum(shares.values()):g}")


def read_shares(text: str) -> dict[str, float]:
    """Shares from `train=0.8,test=0.2`.

    Raises:
        InvalidInput: the text says something else, or the names are no file names.
    """
    shares: dict[str, float] = {}
    for one in text.split(","):
        name, equals, share = one.strip().partition("=")
        try:
            value = float(share)
        except ValueError:
            value = math.nan
        if not equals or not name.replace("-", "").replace("_", "").isalnum() or name in shares or math.isnan(value):
            raise InvalidInput(f"a split is written as train=0.8,test=0.2, not {text!r:.80}")
        shares[name] = value
    check_shares(shares)
    return shares
