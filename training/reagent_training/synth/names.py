"""Made-up names. The two splits draw from different syllables and lists, so that no name is in both."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from reagent_training.synth.record import Split


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What names of one split are made of."""

    heads: tuple[str, ...]
    tails: tuple[str, ...]
    places: tuple[str, ...]
    first: tuple[str, ...]
    goods: tuple[str, ...]
    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]

    def surname(self, rng: Random) -> str:
        """A family name that no real list holds."""
        return rng.choice(self.heads) + rng.choice(self.tails)

    def person(self, rng: Random) -> str:
        """First and family name."""
        return f"{rng.choice(self.first)} {self.surname(rng)}"

    def place(self, rng: Random) -> str:
        """A town."""
        return rng.choice(self.heads) + rng.choice(self.places)

    def title(self, rng: Random) -> str:
        """A book."""
        return f"The {rng.choice(self.adjectives)} {rng.choice(self.nouns)}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_TRAIN = Lexicon(
    heads=_words("Bel Cor Dra Fen Gal Hol Jor Kel Lom Mar Nor Ost Pel Quil Ras Tor Ulm Ver Wen Yar Zel Brim Cald"),
    tails=_words("dane vik tor mund lish rand sen gard wick los bren tane"),
    places=_words("ford mere stad holm wick haven dorf bury minster gate"),
    first=_words("Anselm Brida Corin Dessa Edric Fenna Garo Hesper Ilka Joran Katla Lorcan Merel Nadia Osric Petra"),
    goods=_words("lamp kettle saddle blanket lantern drum basket mirror telescope anchor"),
    adjectives=_words("Silent Copper Winter Hollow Crimson Distant Patient Broken Amber Northern"),
    nouns=_words("Harbour Orchard Ledger Compass Bridge Garden Letter Tower Mill Ferry"),
)
_TEST = Lexicon(
    heads=_words("Ash Bram Crev Dun Ell Fro Gwin Hax Ire Jas Kyn Lyr Mof Nep Orl Prath Sib Tham Usk Vol Wyx Zhu Ebb"),
    tails=_words("acombe erly oway imar eth osk unda avel iphon ostra ingle uth"),
    places=_words("ness combe port fell reach moor by cliffe strand vale"),
    first=_words("Abel Cyra Dunstan Elodie Farid Greta Hale Imre Juno Kasimir Livia Magnus Noor Otto Pia Quentin"),
    goods=_words("barrel loom violin stove carpet bell clock ladder compass-case sled"),
    adjectives=_words("Golden Restless Hidden Marble Southern Faithful Salted Borrowed Violet Narrow"),
    nouns=_words("Chapel Meadow Mirror Voyage Signal Furnace Atlas Window Canal Island"),
)


def lexicon(split: Split) -> Lexicon:
    """The names of a split."""
    return _TRAIN if split is Split.TRAIN else _TEST
