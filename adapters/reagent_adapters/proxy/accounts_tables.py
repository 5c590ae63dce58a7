"""The ledger's tables and statements. Each runs inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from reagent_sdk.errors import InvalidInput
from reagent_sdk.usage import Usage

_APPLICATION = 0x5265_4C64
_VERSION = 1
_WAIT = 5.0
"""Seconds to wait for another process, whose transactions take less than a millisecond."""

_NANO = 1_000_000_000
"""Dollars are kept as whole billionths, which add up exactly and in any order."""

_COUNTED = (
    "calls",
    "retries",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "unpriced_calls",
    "unmetered_calls",
)

# Days, so that a budget's period can be changed without losing what was used.
_TABLES = f"""
CREATE TABLE IF NOT EXISTS spent (
    name TEXT NOT NULL,
    day TEXT NOT NULL,
    {" ".join(f"{column} INTEGER NOT NULL DEFAULT 0," for column in _COUNTED)}
    usd_nano INTEGER NOT NULL DEFAULT 0,
    milliseconds INTEGER NOT NULL DEFAULT 0,
    lost_calls INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (name, day)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS holds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    calls INTEGER NOT NULL,
    until REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS holds_by_name ON holds (name);
"""


@dataclass(frozen=True)
class Spent:
    """What a key has used in a period.

    Attributes:
        usage: what was recorded, and the lost calls.
        lost_calls: calls of requests whose process was killed: reserved, and perhaps made.
        held: calls that requests under way have reserved.
    """

    usage: Usage
    lost_calls: int
    held: int

    def tokens(self, if_unmetered: int | None) -> int:
        """Tokens, with calls that reported none at an assumed number."""
        return self.usage.known_tokens + self.usage.unmetered_calls * (if_unmetered or 0)

    def usd(self, if_unpriced: float | None) -> float:
        """Dollars, with calls of unknown price at an assumed one."""
        return self.usage.priced_usd + self.usage.unpriced_calls * (if_unpriced or 0.0)


def _locked(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


# SQLite does not wait for others that switch a new database to WAL at the same time.
@retry(retry=retry_if_exception(_locked), stop=stop_after_delay(_WAIT), wait=wait_random(0.001, 0.05), reraise=True)
def open_database(path: Path | None) -> sqlite3.Connection:
    """Opens a ledger, making it when it is not there.

    Raises:
        InvalidInput: it is another program's database, or of a later version.
        sqlite3.Error: it cannot be opened, or is no database.
    """
    where = ":memory:" if path is None else path.expanduser()
    database = sqlite3.connect(where, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        # A process that is killed loses nothing; a machine that loses power can lose the last seconds.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("BEGIN IMMEDIATE")
        application, version = (
            database.execute(f"PRAGMA {what}").fetchone()[0] for what in ("application_id", "user_version")
        )
        tables = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables and (application, version) != (_APPLICATION, _VERSION):
            raise InvalidInput(f"{path} is not a ledger of this version; name another file")
        if not tables:
            for statement in _TABLES.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute("COMMIT")
    except BaseException:
        database.close()
        raise
    return database


def spent_since(database: sqlite3.Connection, name: str, first_day: date) -> Spent:
    """What a key has used since the beginning of a day."""
    columns = (*_COUNTED, "usd_nano", "milliseconds", "lost_calls")
    sums = ", ".join(f"coalesce(sum({column}), 0)" for column in columns)
    row = database.execute(
        f"SELECT {sums} FROM spent WHERE name = ? AND day >= ?",  # noqa: S608  # names of columns, from above
        (name, first_day.isoformat()),
    ).fetchone()
    found = dict(zip(columns, row, strict=True))
    held = database.execute("SELECT coalesce(sum(calls), 0) FROM holds WHERE name = ?", (name,)).fetchone()[0]
    usage = Usage(
        **{column: found[column] for column in _COUNTED},
        priced_usd=found["usd_nano"] / _NANO,
        seconds=found["milliseconds"] / 1000,
    )
    return Spent(usage, found["lost_calls"], held)


def add(database: sqlite3.Connection, name: str, day: date, usage: Usage, *, lost_calls: int = 0) -> None:
    """Adds usage to a day."""
    added = {column: getattr(usage, column) for column in _COUNTED}
    added |= {"usd_nano": round(usage.priced_usd * _NANO), "milliseconds": round(usage.seconds * 1000)}
    added["lost_calls"] = lost_calls
    columns = ", ".join(added)
    update = ", ".join(f"{column} = {column} + excluded.{column}" for column in added)
    database.execute(
        f"INSERT INTO spent (name, day, {columns}) VALUES (?, ?{', ?' * len(added)}) "  # noqa: S608  # as above
        f"ON CONFLICT (name, day) DO UPDATE SET {update}",
        (name, day.isoformat(), *added.values()),
    )


def hold(database: sqlite3.Connection, name: str, calls: int, until: float) -> int:
    """Reserves calls until a time in Unix seconds; returns the reservation's number, which is never used again."""
    made = database.execute(
        "INSERT INTO holds (name, calls, until) VALUES (?, ?, ?) RETURNING id", (name, calls, until)
    )
    number: int = made.fetchone()[0]
    return number


def drop_hold(database: sqlite3.Connection, number: int) -> bool:
    """Ends a reservation; False when it had lapsed."""
    return database.execute("DELETE FROM holds WHERE id = ?", (number,)).rowcount == 1


def lapse(database: sqlite3.Connection, now: datetime) -> None:
    """Counts the calls of reservations that nobody settled in time as used."""
    lapsed = database.execute("DELETE FROM holds WHERE until <= ? RETURNING name, calls", (now.timestamp(),)).fetchall()
    for name, calls in lapsed:
        add(database, name, now.date(), Usage(calls=calls), lost_calls=calls)
