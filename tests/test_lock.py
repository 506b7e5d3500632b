from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from layerkit import disk
from layerkit.disk import FolderLock
from layerkit.errors import FolderInUseError, RunError

HOLD = """
import sys
from pathlib import Path
from layerkit.disk import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


def test_the_second_is_refused_until_the_first_lets_go(tmp_path):
    first = FolderLock(tmp_path)
    with pytest.raises(FolderInUseError, match=f"another process is training in {tmp_path}; wait for it"):
        FolderLock(tmp_path)
    first.release()
    FolderLock(tmp_path).release()
    assert os.listdir(tmp_path) == [FolderLock.NAME]


def test_another_process_is_refused_and_a_killed_one_lets_go(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(FolderInUseError):
            FolderLock(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        FolderLock(tmp_path).release()


def test_a_folder_that_is_removed_or_replaced_is_noticed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    lock = FolderLock(folder)
    lock.check()
    shutil.rmtree(folder)
    with pytest.raises(RunError, match="was removed or replaced while it was in use"):
        lock.check()
    folder.mkdir()
    other = FolderLock(folder)
    with pytest.raises(RunError, match="was removed or replaced"):
        lock.check()
    other.check()
    other.release()
    lock.release()


def test_a_lock_is_of_no_thread(tmp_path):
    with ThreadPoolExecutor(1) as other:
        lock = other.submit(FolderLock, tmp_path).result()
        with pytest.raises(FolderInUseError, match="another process is training"):
            other.submit(FolderLock, tmp_path).result()
        with pytest.raises(FolderInUseError, match="another process is training"):
            FolderLock(tmp_path)
        lock.release()
        other.submit(FolderLock, tmp_path).result().release()
    FolderLock(tmp_path).release()


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc")
def test_a_refused_lock_leaves_no_file_open(tmp_path):
    first = FolderLock(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(FolderInUseError):
            FolderLock(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before
    first.release()


def test_a_system_without_locks(tmp_path, monkeypatch):
    def missing(descriptor: int, *, blocking: bool) -> bool:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(disk, "lock_descriptor", missing)
    with pytest.raises(RunError, match="cannot be locked: Function not implemented"):
        FolderLock(tmp_path)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(RunError, match="missing cannot be locked: No such file or directory"):
        FolderLock(tmp_path / "missing")
