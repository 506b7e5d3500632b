from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

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


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(RunError, match="missing cannot be locked: No such file or directory"):
        FolderLock(tmp_path / "missing")
