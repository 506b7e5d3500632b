from __future__ import annotations

import signal

import pytest
import torch
from together import Together, together
from works import failing, killed, operations

from layerkit.distributed.group import Alone, part_of
from layerkit.distributed.launch import processes_of_torchrun
from layerkit.errors import ProcessError, RunError, UserError


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 7, 100])
def test_parts_are_even_and_lie_side_by_side(count, size):
    parts = [range(count)[part_of(count, rank, size)] for rank in range(size)]
    assert [number for part in parts for number in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_all_get_the_same():
    first, second = together(2, operations, {1: 15})
    assert (first.pop("place"), second.pop("place")) == ((0, 2), (1, 2))
    assert first == second == {
        "sum": [3.0, 10.0],
        "numbers": [0.0, 0.5, 1.0, 1.5],
        "signal": 15,
        "gathered": [[0], [1]],
        "parts": [0, 1, 2, 3, 4],
        "taken": [0, 1, 2, 3, 4, 5],
        "copied": [0.0],
        "message": {"text": "é", "list": [1, None]},
    }  # fmt: skip


def test_one_alone_gives_back_what_it_is_given():
    group, tensor = Alone(), torch.tensor([1.0, 2.0])
    group.begin_sum(tensor)()
    assert tensor.tolist() == [1.0, 2.0]
    assert [each.tolist() for each in group.gather(tensor)] == [[1.0, 2.0]]
    assert group.begin_exchange([3.0])() == [3.0]


@pytest.mark.parametrize(
    ("error", "text", "reason", "code"),
    [
        (RunError, "disk full", "disk full", 1),
        (UserError, "no such file", "no such file", 2),
        (MemoryError, "", "not enough memory; use smaller batches, or a smaller network", 1),
    ],
)
@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_fails_all_say_why(rank, error, text, reason, code):
    told = ("ProcessError", f"process {rank} of 2 failed: {reason}", code)
    assert together(2, failing, rank, error, text) == [told, told]


def test_a_mistake_in_the_program_is_raised_as_it_is_and_told_to_the_others():
    first, second = together(2, failing, 0, KeyError, "weight")
    assert first[:2] == ("KeyError", "'weight'")
    assert second == ("ProcessError", "process 0 of 2 failed: KeyError: 'weight'", 1)


def test_a_process_that_was_killed_is_named_by_all_others():
    first, code, third = together(3, killed, 1)
    assert code == -signal.SIGKILL
    assert first == third
    assert first.startswith("process 1 of 3 does not answer; it was killed, or ran out of memory, or the network is")


def test_processes_that_are_started_again_do_not_read_what_others_left():
    first = Together(2, failing, 0, RunError, "disk full")
    assert first.results()[1][1] == "process 0 of 2 failed: disk full"
    second = Together(2, failing, 1, RunError, "no such device", before=first)
    assert [text for _, text, _ in second.results()] == ["process 1 of 2 failed: no such device"] * 2


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "MASTER_PORT"])
def test_an_environment_that_is_not_torchruns_is_an_error(name, monkeypatch):
    for given, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(given, value)
    monkeypatch.setenv(name, "many")
    with pytest.raises(UserError, match=f'{name}="many" in the environment is no number; start layerkit by torchrun'):
        processes_of_torchrun()


def test_without_torchrun_or_with_one_process_there_is_no_group(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert processes_of_torchrun() is None
    for given, value in (("RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(given, value)
    assert processes_of_torchrun() is None


def test_others_that_cannot_be_reached_are_an_error(monkeypatch):
    for given, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "9")):
        monkeypatch.setenv(given, value)
    with pytest.raises(ProcessError, match=r"the other processes cannot be reached at 127\.0\.0\.1:9: "):
        processes_of_torchrun(0.1)
