"""Near duplicates: MinHash finds the candidates, the exact Jaccard similarity of word shingles decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reagent_sdk.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

SHINGLE = 5
"""Words in a row."""
_PERMUTATIONS = 64
_CANDIDATES_FROM = 0.15
"""How far below the threshold candidates are looked for: an estimate from 64 permutations is off by 0.06 on average."""


class NearDuplicates:
    """Remembers texts and finds those that nearly say the same.

    Candidates come from locality-sensitive hashing, so the time does not grow with the square of the number of texts.
    Every candidate is then compared exactly: a text is never called a duplicate on an estimate, and with a threshold
    of 0.9 fewer than one true duplicate in a thousand is missed.

    Args:
        threshold: Jaccard similarity from which on two texts are near duplicates, in (0, 1].

    Raises:
        MissingExtra: `datasketch` is not installed.
    """

    def __init__(self, threshold: float = 0.9) -> None:
        try:
            from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]
        except ImportError:
            raise MissingExtra("finding near duplicates", "training") from None
        self._threshold = threshold
        self._sketch: Any = MinHash
        lowest = max(0.1, threshold - _CANDIDATES_FROM)
        self._index: Any = MinHashLSH(threshold=lowest, num_perm=_PERMUTATIONS, weights=(0.1, 0.9))
        self._sets: dict[str, npt.NDArray[np.int64]] = {}

    def add(self, name: str, text: str) -> tuple[str, ...]:
        """Remembers a text under a name; returns the names of earlier ones that nearly say the same."""
        words = text.casefold().split()
        shingles = {" ".join(words[start : start + SHINGLE]) for start in range(max(1, len(words) - SHINGLE + 1))}
        hashed = hashes(shingles)
        sketch = self._sketch(num_perm=_PERMUTATIONS, seed=1)
        sketch.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in sorted(shingles)])
        near = [other for other in self._index.query(sketch) if jaccard(hashed, self._sets[other]) >= self._threshold]
        self._index.insert(name, sketch)
        self._sets[name] = hashed
        return tuple(near)


def hashes(shingles: Iterable[str]) -> npt.NDArray[np.int64]:
    """Distinct hashes in 8 bytes each, to be compared within this process only."""
    import numpy as np

    return np.unique(np.fromiter(map(hash, shingles), dtype=np.int64))


def jaccard(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    """Share of what is common to two sets of :func:`hashes` in what either holds; 1 for two empty ones."""
    import numpy as np

    common = int(np.intersect1d(one, other, assume_unique=True).size)
    union = one.size + other.size - common
    return common / union if union else 1.0
