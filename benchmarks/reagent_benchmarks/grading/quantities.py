r"""Numbers in the ways people and models write them, read exactly, with the unit that follows."""

from __future__ import annotations

import functools
import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

from reagent_benchmarks.grading.final import plain
from reagent_sdk.number_words import NUMBER_WORDS, worth_of

_WHOLE = (
    r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,12}(?![0-9])|[0-9]{1,3}(?:[\u00a0\u2009\u202f][0-9]{3}){1,12}(?![0-9])|[0-9]{1,60})"
)
_POWER = (
    r"(?:e(?P<exponent>[-+]?[0-9]{1,3})"
    r"|\s?(?:x|\*|\u00d7)\s?10(?:\^|\*\*)\{?(?P<power>[-+]?[0-9]{1,3})\}?)"
)
_NUMBER = re.compile(
    rf"(?<![\w.,/^])(?P<sign>[-+]\s?)?(?P<currency>(?:US)?[$\u20ac\u00a3\u00a5\u20b9])?\s?(?P<late>-)?"
    rf"(?:(?P<mixed>[0-9]{{1,20}})\s(?P<over>[0-9]{{1,20}}/[0-9]{{1,20}})|(?P<top>{_WHOLE})\s?/\s?(?P<bottom>[0-9]{{1,20}})"
    rf"|(?P<plain>{_WHOLE}(?:\.[0-9]{{1,60}})?|\.[0-9]{{1,60}}){_POWER}?)(?![0-9/^_!({{]|[.,][0-9]|\s?/\s?[0-9])",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"[0-9]")
_FRACTION = re.compile(r"\\[dt]?frac\s?(?:\{\s?([0-9]{1,20})\s?\}\{\s?([0-9]{1,20})\s?\}|([0-9])([0-9]))")
_WORDS = re.compile(rf"(?<![\w-]){NUMBER_WORDS}(?![\w-])", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(?:not|no|never|nor|neither|or|either|isn|aren|wasn|cannot|except|maybe|perhaps|between|plus|minus|times|half"
    r"|less than|more than|fewer than|at least|at most|over|under)\b|\u00b1|\\pm|[<>]",
    re.IGNORECASE,
)
_SCALE = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_PARTS = re.compile(r"(?:half|halves|thirds?|quarters?|fifths?|tenths?|hundredths?|thousandths?|millionths?)\b", re.I)
_UNIT_WORD = re.compile(
    r"\s{0,2}(%|/|per\b|\u00b0(?:\s?[CF]\b)?|[\u20ac\u00a3\u00a5$]|[^\W\d_][^\W\d_.]{0,30}(?:\^?[23\u00b2\u00b3](?!\d))?)"
)
_TERM_BEFORE = re.compile(r"[-+*/^_\u00d7]\s{0,3}[({\[]{0,3}\s{0,3}\Z")
_MINUEND = re.compile(r"(?:(?<!\w)\w|[)\]}])\s{0,3}\Z")  # x - 5
_SUPERSCRIPT = str.maketrans("\u00b2\u00b3", "23", "^")
_SAME = {
    **dict.fromkeys(("percent", "percentage", "pct"), "%"),
    **dict.fromkeys(("$", "us$", "dollar", "buck"), "usd"),
    **dict.fromkeys(("\u20ac", "euro"), "eur"), **dict.fromkeys(("\u00a3", "pound sterling"), "gbp"),
    **dict.fromkeys(("\u00a5", "yen"), "jpy"), "\u20b9": "inr", "rupee": "inr", "cent": "cent", "per": "/",
    **dict.fromkeys(("kilometer", "kilometre", "kms"), "km"), **dict.fromkeys(("meter", "metre"), "m"),
    **dict.fromkeys(("centimeter", "centimetre"), "cm"), **dict.fromkeys(("millimeter", "millimetre"), "mm"),
    **dict.fromkeys(("mile", "mi"), "mile"), **dict.fromkeys(("foot", "feet", "ft"), "ft"),
    **dict.fromkeys(("inch", "inches", "in"), "in"), **dict.fromkeys(("yard", "yd"), "yd"),
    **dict.fromkeys(("kilogram", "kilo", "kgs"), "kg"), **dict.fromkeys(("gram", "gramme"), "g"),
    **dict.fromkeys(("milligram",), "mg"), **dict.fromkeys(("pound", "lb", "lbs"), "lb"), "ounce": "oz", "tonne": "t",
    **dict.fromkeys(("second", "sec"), "s"), **dict.fromkeys(("minute", "mins"), "min"),
    **dict.fromkeys(("hour", "hr", "hrs"), "h"), "day": "d", **dict.fromkeys(("year", "yr", "yrs"), "year"),
    **dict.fromkeys(("liter", "litre"), "l"), **dict.fromkeys(("milliliter", "millilitre"), "ml"),
    **dict.fromkeys(("degree", "\u00b0"), "deg"), **dict.fromkeys(("\u00b0c", "celsius"), "degc"),
    **dict.fromkeys(("\u00b0f", "fahrenheit"), "degf"),
}  # fmt: skip
_KNOWN = frozenset(_SAME.values()) - {"/"}
_UNCLEAR = re.compile(r"\s?(?:[kKMB]|[bm]n)\b(?![/^])")  # 5M may be millions or metres


class Quantity(NamedTuple):
    """A number and the words of its unit, folded ("km", "/", "h"); empty without one."""

    value: Fraction
    unit: tuple[str, ...]
    divided: bool = False
    """Written as a fraction of two numbers."""

    def fits(self, wanted: Quantity) -> bool:
        """Whether it may stand for the wanted one, values apart.

        The unit is the same, or one of the two is not told. And a whole number is not left as a division to be done.
        """
        if self.divided and not wanted.divided and wanted.value.denominator == 1:
            return False
        size = len(wanted.unit)
        return not (size and self.unit) or (self.unit[:size] == wanted.unit and self.unit[size : size + 1] != ("/",))

    def same_value(self, wanted: Quantity, most: Fraction = Fraction(0)) -> bool:
        """Whether the values are the same, up to a difference; 50% is 0.5 as well, and 50 where no unit is told."""
        given, gold = self.value, wanted.value
        shares = [one.unit[:1] == ("%",) for one in (self, wanted)]
        if shares[0] != shares[1] and not (self.unit and wanted.unit):
            scaled = given / 100 - gold if shares[0] else given - gold / 100
            if abs(scaled) <= (most if shares[0] else most / 100):
                return True
        return abs(given - gold) <= most


@functools.lru_cache(maxsize=4096)
def quantity(text: str) -> Quantity | None:
    """The one quantity that a text states; None when it states none, several, a denied one or a range.

    Behind the last "=" stands the conclusion of an equation. A text with several different numbers has no one value.
    """
    text = _tidy(text).rpartition("=")[2]
    if "\\" in text or _DENIED.search(text):
        return None
    if not _DIGIT.search(text):
        return _in_words(text)
    found = list(_NUMBER.finditer(text))
    rest = _NUMBER.sub(" ", text)
    powers = re.sub(r"(?<=[^\W\d_])\^?[23\u00b2\u00b3](?!\d)", "", rest)  # those of units, as in m^2
    if not found or any(unicodedata.category(char) in ("Nd", "No", "Nl") for char in powers):
        return None
    read = {_read(text, one) for one in found}
    first = next(iter(read))
    if first is None or len({one.value if one else None for one in read}) > 1:
        return None
    worths = {worth_of(word) for word in _WORDS.findall(rest) if word.lower() not in ("one", *_SCALE)}
    return first if worths <= {first.value} and len({one.unit for one in read if one and one.unit}) < 2 else None


def _tidy(text: str) -> str:
    """One spelling for the signs of LaTeX and their Unicode twins."""
    text = _FRACTION.sub(lambda one: f" {one[1] or one[3]}/{one[2] or one[4]}", plain(text))
    text = re.sub(r"\\(?:times|cdot)(?![a-z])", "\u00d7", text.replace("{,}", ","))
    text = re.sub(r"\^?(?:\\circ|\{\\circ\}|\u00b0|\u00ba)(?![a-z])", "\u00b0", text)
    return re.sub(r"\\(?:[,!;:]|(?:left|right)(?![a-z]))", "", text).replace("\u2212", "-").strip()


def _in_words(text: str) -> Quantity | None:
    found = list(_WORDS.finditer(text))
    worth = worth_of(found[0][0]) if len(found) == 1 else None
    if worth is None or re.match(r"\s{0,2}-?" + _PARTS.pattern, text[found[0].end() :], re.I):
        return None
    return Quantity(Fraction(worth), _unit(text[found[0].end() :]))


def _read(text: str, found: re.Match[str]) -> Quantity | None:
    value, rest = _value(found), text[found.end() :]
    if _TERM_BEFORE.search(text[: found.start()]) or (found["sign"] and _MINUEND.search(text[: found.start()])):
        return None
    unit = _unit(rest)
    while unit and (unit[0] in _SCALE):
        value, unit = None if value is None else value * _SCALE[unit[0]], unit[1:]
    foreign = bool(unit) and unit[0].rstrip("23") not in _KNOWN
    attached = foreign and (rest[:1].isalpha() or len(unit[0]) == 1)  # 5x, 5 x
    if value is None or attached or _UNCLEAR.match(rest) or (unit and _PARTS.fullmatch(unit[0])):
        return None
    currency = found["currency"]
    return Quantity(value, (_SAME[currency.lower()], *unit) if currency else unit, found["top"] is not None)


def _value(found: re.Match[str]) -> Fraction | None:
    if found["sign"] and found["late"]:
        return None
    sign = -1 if "-" in (found["sign"] or "") + (found["late"] or "") else 1
    try:
        if found["mixed"]:
            return sign * (Fraction(found["mixed"]) + Fraction(found["over"]))
        if found["top"]:
            return sign * Fraction(_digits(found["top"])) / Fraction(found["bottom"])
    except ZeroDivisionError:
        return None
    power = int(found["exponent"] or found["power"] or 0)
    return sign * Fraction(_digits(found["plain"])) * Fraction(10) ** power


def _digits(text: str) -> str:
    return re.sub(r"[,\u00a0\u2009\u202f]", "", text)


def _unit(rest: str) -> tuple[str, ...]:
    words: list[str] = []
    while len(words) < 4 and (word := _UNIT_WORD.match(rest)):
        words.append(_folded(word[1]))
        rest = rest[word.end() :]
    return tuple(words)


def _folded(word: str) -> str:
    word = re.sub(r"\s", "", word.lower()).translate(_SUPERSCRIPT)
    return _SAME.get(word) or _SAME.get(word.removesuffix("s")) or (word if len(word) < 4 else word.removesuffix("s"))
