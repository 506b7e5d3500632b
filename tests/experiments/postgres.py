"""A PostgreSQL of the tests' own, where one is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "s3cret/word"
"""With a character that must be written otherwise in a URL."""
_NOBODY = "nobody"
"""Who PostgreSQL is run by where the tests are run by root, for whom it does not work."""


def binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``pg_ctl``; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # where Debian has them
    return next((place for place in places if (place / "pg_ctl").exists()), None)


@contextmanager
def running(place: Path) -> Iterator[str]:
    """Run a server inside ``with``, and provide the URL of its database."""
    root = os.geteuid() == 0
    user: dict[str, object] = {"user": _NOBODY, "group": _NOBODY if _group_exists() else "nogroup"} if root else {}
    with tempfile.TemporaryDirectory(prefix="postgres") as name:
        folder, (secret, data) = Path(name), (Path(name) / "secret", Path(name) / "data")
        secret.write_text(PASSWORD)
        if root:
            for path in (folder, secret):
                shutil.chown(path, _NOBODY)

        def call(*words: object) -> None:
            output = folder / "output"  # no pipe, which the server would inherit and keep open
            with output.open("w") as file:
                done = subprocess.run([str(word) for word in words], stdout=file, stderr=file, cwd=folder, **user)  # type: ignore[call-overload]
            assert done.returncode == 0, output.read_text()

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off -c shared_buffers=1MB"
        how = ["--auth=scram-sha-256", "--username=layerkit", f"--pwfile={secret}", "--no-sync", "--encoding=UTF8"]
        call(place / "initdb", "-D", data, *how)
        call(place / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
        try:
            yield f"postgresql://layerkit:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{port}/postgres"
        finally:
            call(place / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _group_exists() -> bool:
    import grp

    return any(group.gr_name == _NOBODY for group in grp.getgrall())
