"""What tables are about. The two splits share neither files nor columns nor values."""

from __future__ import annotations

from dataclasses import dataclass

from reagent_training.synth.record import Split


@dataclass(frozen=True, slots=True)
class Theme:
    """The vocabulary of one folder of tables.

    Attributes:
        stem: file name of the yearly tables, without the year.
        entry: what a row is; also the column of its id.
        group: column that rows are filtered by.
        groups: its values.
        key: column that the second table explains.
        keys: its values.
        value: column with numbers.
        attribute: what the second table says of a key.
        attributes: its values.
    """

    stem: str
    entry: str
    group: str
    groups: tuple[str, ...]
    key: str
    keys: tuple[str, ...]
    value: str
    attribute: str
    attributes: tuple[str, ...]


def _theme(names: str, groups: str, keys: str, attributes: str) -> Theme:
    stem, entry, group, key, value, attribute = names.split()
    return Theme(
        *(stem, entry, group, tuple(groups.split()), key, tuple(keys.split())),
        *(value, attribute, tuple(attributes.split())),
    )


THEMES = {
    Split.TRAIN: (
        _theme(
            "orders order region item pieces maker",
            "north south east west",
            "lamp stool rug vase desk",
            "Belmo Corvin Drast",
        ),
        _theme(
            "loans loan branch genre days shelf",
            "Harbour Mill Castle Station",
            "poetry maps drama law",
            "upper lower cellar",
        ),
        _theme("trips trip line vehicle passengers depot", "red blue green", "tram bus ferry railcar", "Osk Velm Tarn"),
        _theme(
            "harvests crate orchard fruit kilos buyer",
            "hill river lake",
            "plum quince pear cherry",
            "Anders Quist Rohm",
        ),
    ),
    Split.TEST: (
        _theme(
            "visits visit ward therapy minutes doctor",
            "alpha beta gamma",
            "massage bath walk lamp-light",
            "Yost Wrede Zilk",
        ),
        _theme(
            "catches haul boat fish weight market",
            "Heron Petrel Gannet",
            "cod ling hake sprat",
            "quayside uptown island",
        ),
        _theme(
            "calls ticket team product seconds owner",
            "day night weekend",
            "router modem phone antenna",
            "Ebbe Falk Grith",
        ),
    ),
}
