"""The URL of a database, whose password is never shown."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from layerkit.errors import UserError

EXPECTED = "expected postgresql://USER@HOST/DATABASE"
_SECRETS = {"password", "sslpassword"}
"""The options in a URL that are shown to nobody."""


class DatabaseURL:
    """The URL of a PostgreSQL database; as a text it has stars for the password.

    Args:
        url: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``; what is left out comes from PostgreSQL's own variables
            and files, such as ``PGPASSWORD`` and ``~/.pgpass``.

    Attributes:
        whole: the URL with the password, as PostgreSQL's library takes it.

    Raises:
        UserError: when it is not such a URL.
    """

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        kind = scheme.partition("+")[0].lower()  # what follows is the driver, for other libraries
        if kind == "sqlite":
            raise UserError(
                "SQLite is for one process, and a sweep is stored elsewhere to be shared by several: without --storage "
                f"all processes that share the --output folder divide the trials; for machines without one, {EXPECTED}"
            )
        if kind not in ("postgresql", "postgres"):
            shown = f'"{kind}://"' if re.fullmatch(r"[a-z]\w*", kind) and rest else "a storage without a scheme"
            raise UserError(f"{shown} is no database that a sweep can be shared through; {EXPECTED}")
        authority, end = re.fullmatch(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr] # it always matches
        if authority.count("@") > 1 or "@" in end:
            raise UserError('the storage has more than one "@"; write those of a password as %40, / as %2F, ? as %3F')
        user, at, host = authority.rpartition("@")
        name, colon, password = user.partition(":")
        self.whole = f"postgresql://{rest}"
        try:
            options = parse_qsl(urlsplit(self.whole).query, keep_blank_values=True)
        except ValueError:
            raise UserError(f"the storage is no URL; {EXPECTED}") from None
        raw = [password, *(value for key, value in options if key in _SECRETS)]
        self._passwords = sorted({text for each in raw for text in (each, unquote(each)) if text}, key=len)[::-1]
        stars = colon and ":***"
        self._shown = f"postgresql://{name}{stars}{at}{host}{end.partition('?')[0]}"

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"DatabaseURL({self._shown!r})"

    def without_password(self, error: BaseException) -> str:
        """Return the first line of an error, with stars where the password is in it."""
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        for password in self._passwords:
            text = text.replace(password, "***")
        return text
