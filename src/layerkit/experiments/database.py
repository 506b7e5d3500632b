"""A sweep that machines without a common folder share, through a database.

One table has the results. A trial belongs to the process that has its *advisory lock*: PostgreSQL holds such a lock for
a connection, and lets it go when that ends in any way, as the operating system does with the lock on a folder. So there
are no leases that have to be renewed, and no clocks that must agree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from layerkit.disk import write_atomically
from layerkit.errors import FolderInUseError, RunError
from layerkit.experiments.database_url import DatabaseURL
from layerkit.experiments.examples import TILES
from layerkit.experiments.results import TrialResult, parsed
from layerkit.experiments.store import MONTAGE, Store

_ALIVE: dict[str, Any] = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "connect_timeout": 30,
}
"""Seconds, and how often: a connection on which nothing is said must not be forgotten by what lies between."""
_SERVER = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6"
"""The same for the server, which lets go the locks of a machine that is gone after a minute and a half."""

_TABLE = """
    CREATE TABLE IF NOT EXISTS layerkit_results (
        key text PRIMARY KEY, result text NOT NULL, montage bytea, tiles bytea
    )
"""
_KEEP = """
    INSERT INTO layerkit_results (key, result, montage, tiles) VALUES (%s, %s, %s, %s) ON CONFLICT (key)
    DO UPDATE SET result = EXCLUDED.result, montage = EXCLUDED.montage, tiles = EXCLUDED.tiles
"""

Answer = TypeVar("Answer")


class DatabaseStore(Store):
    """The folder of a sweep on this machine, and the results of all machines in a database.

    What is written into the database is kept in the folder too, and sent again if the database lacks it.

    Args:
        folder: of this machine, for runs and the page.
        url: of the database.

    Raises:
        RunError: when the database cannot be reached, or does not do what is asked.
    """

    def __init__(self, folder: Path, url: DatabaseURL) -> None:
        super().__init__(folder)
        self._url = url
        self._held: list[str] = []
        self._connection = self._connected()
        self._ask(_make_table)

    def close(self) -> None:
        """End the connection, and with it all locks."""
        self._connection.close()

    def result(self, key: str, timed: bool = False) -> TrialResult | None:
        """Return a trial's result, from any machine; see :meth:`Store.result`.

        Raises:
            RunError: when the database cannot be reached.
        """
        query = "SELECT result FROM layerkit_results WHERE key = %s"
        row = self._ask(lambda connection: connection.execute(query, [key]).fetchone())
        result = None if row is None else parsed(row[0], key)
        if result is None and (result := super().result(key)) is not None:
            self._send(result)
        return None if result is None or (timed and not result.timed) else result

    def keep(self, result: TrialResult) -> None:
        """Write a trial's result, into the folder first.

        Raises:
            RunError: when it cannot be written, or the database cannot be reached.
        """
        super().keep(result)
        self._send(result)

    @contextmanager
    def claimed(self, key: str) -> Iterator[None]:
        """Keep other machines from a trial inside ``with``.

        Raises:
            FolderInUseError: when one of them is training it.
            RunError: when the database cannot be reached.
        """
        with self._locked(f"layerkit trial {key}"):
            yield

    @contextmanager
    def timing(self, experiment: str) -> Iterator[None]:
        """Keep all other processes from timing the trials of an experiment inside ``with``.

        Raises:
            FolderInUseError, RunError: as :meth:`claimed` does.
        """
        with self._locked(f"layerkit timed {experiment}"):
            yield

    def pictures(self, key: str) -> Path:
        """Return the folder with the pictures of a trial, which may come from another machine.

        Raises:
            RunError: when it cannot be written, or the database cannot be reached.
        """
        folder = super().pictures(key)
        if (folder / TILES).is_file():
            return folder
        query = "SELECT montage, tiles FROM layerkit_results WHERE key = %s"
        row = self._ask(lambda connection: connection.execute(query, [key]).fetchone()) or (None, None)
        folder = self.folder / "pictures" / key
        for name, data in zip((MONTAGE, TILES), row, strict=True):
            if data is not None:
                write_atomically(folder / name, data)
        return folder

    def _send(self, result: TrialResult) -> None:
        folder = super().pictures(result.key)
        text = json.dumps(result.model_dump(mode="json"))  # in ASCII, which a database in any encoding can hold
        row = [result.key, text, _content(folder / MONTAGE), _content(folder / TILES)]
        self._ask(lambda connection: connection.execute(_KEEP, row))

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        number = _number(name)
        if not self._ask(lambda connection: _lock(connection, number)):
            raise FolderInUseError(f"another process works on the {name.removeprefix('layerkit ')}")
        self._held.append(name)
        try:
            yield
        finally:
            self._held.remove(name)
            with suppress(psycopg.Error):  # with the connection the lock is gone too
                self._connection.execute("SELECT pg_advisory_unlock(%s)", [number])

    def _ask(self, ask: Callable[[psycopg.Connection[Any]], Answer]) -> Answer:
        """Return what the database answers; connect again where the connection was lost since the last question."""
        try:
            try:
                return ask(self._connection)
            except psycopg.OperationalError:
                if not self._connection.closed:
                    raise
            self._connection = self._connected()
            for name in self._held:  # if another process has it by now, both train the trial, and one result is kept
                _lock(self._connection, _number(name))
            return ask(self._connection)
        except psycopg.Error as error:
            raise self._failed(error) from None

    def _connected(self) -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(self._url.whole, autocommit=True, **_ALIVE)
            connection.execute(_SERVER)
            return connection
        except psycopg.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: psycopg.Error) -> RunError:
        return RunError(f"the database {self._url} does not answer as it should: {self._url.without_password(error)}")


def _make_table(connection: psycopg.Connection[Any]) -> None:
    # Asked first, since it may be made by somebody with more rights; and one at a time, since two would collide.
    if connection.execute("SELECT to_regclass('layerkit_results')").fetchone() == (None,):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_number("layerkit table")])
            connection.execute(_TABLE)


def _lock(connection: psycopg.Connection[Any], number: int) -> bool:
    return connection.execute("SELECT pg_try_advisory_lock(%s)", [number]).fetchone() == (True,)


def _number(name: str) -> int:
    """Return the number of 64 bits that PostgreSQL knows a lock by."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def _content(path: Path) -> bytes | None:
    with suppress(OSError):
        return path.read_bytes()
    return None
