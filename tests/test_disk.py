"""The one writer: what stood in a file before is there until the new content is safe."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path
from typing import Any

import pytest

from layerkit import disk as files
from layerkit.disk import append_lines, remove_leftovers, why_unreadable, write_atomically
from layerkit.errors import RunError

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


def test_a_file_is_written_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"
    write_atomically(str(path), b"")
    assert path.read_bytes() == b""
    assert os.listdir(path.parent) == ["file"]


def test_a_file_gets_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_every_call_may_fail(tmp_path, monkeypatch, faulty_os, number):
    path = tmp_path / "file"
    for nth in range(1, 100):
        write_atomically(path, b"old")
        with monkeypatch.context() as patch:
            faulty = faulty_os(nth, number)
            patch.setattr(files, "os", faulty)
            try:
                write_atomically(path, b"new content")
            except RunError as error:
                assert str(error) == f"{path} cannot be written: {os.strerror(number)}"
            else:
                assert faulty.left > 0, "a failure was not reported"
                break
        # When the folder cannot be brought to the disk the new content already has the name.
        assert path.read_bytes() in (b"old", b"new content")
        assert os.listdir(tmp_path) == ["file"]
    assert nth == 9


def test_a_call_that_writes_a_part_is_followed_by_another(tmp_path, monkeypatch):
    class Slow:
        def __getattr__(self, name: str) -> Any:
            return (lambda descriptor, data: os.write(descriptor, data[:3])) if name == "write" else getattr(os, name)

    monkeypatch.setattr(files, "os", Slow())
    write_atomically(tmp_path / "file", b"0123456789")
    append_lines(tmp_path / "lines", b"0123456789\n")
    assert (tmp_path / "file").read_bytes() + b"\n" == (tmp_path / "lines").read_bytes() == b"0123456789\n"


def test_a_real_limit_of_the_system(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(RunError, match="File too large"):
            write_atomically(path, bytes(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(RunError, match="file cannot be written: Is a directory"):
        write_atomically(tmp_path / "file", b"content")
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(RunError, match=r"cannot be written: (Not a directory|File exists)"):
        write_atomically(tmp_path / "folder" / "file", b"content")


def test_lines_are_appended(tmp_path):
    path = tmp_path / "file"
    append_lines(path, b"one\n")
    append_lines(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    with pytest.raises(RunError, match="missing/file cannot be written: No such file or directory"):
        append_lines(tmp_path / "missing" / "file", b"")


@pytest.mark.parametrize("torn", [b"x", b"tw", b"x" * 4095, b"x" * 4096, b"x" * 10_000, b"\xff\x00"])
@pytest.mark.parametrize("whole", [b"", b"one\n", b"\n", b"one\n\n", b"y" * 5000 + b"\n"])
def test_a_torn_last_line_is_cut_off_before_others_are_appended(tmp_path, whole, torn):
    path = tmp_path / "file"
    for lines in (b"three\n", b""):
        path.write_bytes(whole + torn)
        append_lines(path, lines)
        assert path.read_bytes() == whole + lines


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_lines_for_a_full_disk():
    with pytest.raises(RunError, match="/dev/full cannot be written: No space left on device"):
        append_lines("/dev/full", b"line\n")


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    for name in (".file.abc.tmp", "file", ".hidden", "other.tmp"):
        (tmp_path / name).write_bytes(b"")
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden", "file", "other.tmp"]


def test_why_a_file_cannot_be_opened():
    assert why_unreadable(FileNotFoundError(2, "No such file or directory", "x")) == "there is no such file"
    assert why_unreadable(PermissionError(13, "Permission denied", "x")) == "Permission denied"
    assert why_unreadable(OSError("of its own")) == "of its own"
    assert why_unreadable(ValueError("embedded null byte")) == "embedded null byte"


# Systems that are not POSIX

PROGRAM = """
import builtins, errno, os, sys
import filelock, torch  # their own business

own_import, own_open = builtins.__import__, os.open

def imported(name, globals=None, *rest, **named):
    mine = (globals or {}).get("__name__", "").startswith("layerkit")
    if mine and name in {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}:
        raise ModuleNotFoundError(f"Windows has no {name}")
    return own_import(name, globals, *rest, **named)

def opened(path, flags, *rest):
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    assert flags & os.O_BINARY or os.path.basename(path) == ".lock", f"the ends of lines in {path} would change"
    return own_open(path, flags & ~os.O_BINARY, *rest)

class Windows:
    def __getattr__(self, name):
        return opened if name == "open" else getattr(os, name)

builtins.__import__ = imported
os.O_BINARY = 1 << 30
for name in ("fchmod", "fork", "getuid", "kill", "killpg", "sched_getaffinity", "uname", "O_DIRECTORY"):
    delattr(os, name)
import layerkit
from layerkit import cli, disk
disk.os = Windows()
sys.exit(cli.run(sys.argv[1:]))
"""


def test_training_where_the_system_is_not_posix(tmp_path, tiny, python):
    spec = tiny.spec(tmp_path)
    arguments = ["train", str(spec), "--data", str(tiny.data), "--output", str(tmp_path / "run")]
    ended = python("-c", PROGRAM, *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert {"checkpoint.safetensors", "metrics.jsonl", ".lock"} <= set(os.listdir(tmp_path / "run"))
