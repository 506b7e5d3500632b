from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from layerkit.arithmetic import division
from layerkit.builtin.layers.conv2d import Conv2d
from layerkit.builtin.layers.relu import ReLU
from layerkit.builtin.layers.sequential import Sequential
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.together import each


@pytest.fixture(params=[1, 2, 3, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_job_is_done_once_and_counted(threads: int) -> None:
    done: list[int] = []
    assert list(each(range(7), done.append)) == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(done) == list(range(7))
    assert list(each([], done.append)) == []


def test_as_many_jobs_are_done_at_once_as_there_are_threads(threads: int) -> None:
    meeting = threading.Barrier(min(threads, 4))
    shares = []

    def work(job: int) -> None:
        meeting.wait()  # without that many at once nobody ever goes on
        shares.append(torch.get_num_threads())

    assert list(each(range(8 if threads != 3 else 9), work))[-1] == len(shares)
    assert set(shares) == {threads // min(threads, 4)}
    assert torch.get_num_threads() == threads
    begun_later: list[int] = []
    thread = threading.Thread(target=lambda: begun_later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert begun_later == [threads]


def test_an_error_is_raised_and_ends_what_has_not_begun(threads: int) -> None:
    begun: list[int] = []

    def work(job: int) -> None:
        begun.append(job)
        raise ValueError(f"job {job}")

    with pytest.raises(ValueError, match=r"job \d"):
        list(each(range(1000), work))
    assert len(begun) <= 8
    assert torch.get_num_threads() == threads


def test_a_picture_has_the_same_bits_however_many_tiles_are_done_at_once(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = Sequential(Conv2d(3, 8, 3, padding=1), ReLU(), Conv2d(8, 3, 3, padding=1))
    pictures = torch.randint(0, 256, (2, 3, 150, 90), dtype=torch.uint8)
    many = Denoiser(network, (3, 32, 32), 32).predict(pictures)
    monkeypatch.setattr(division, "TILES", 1)
    assert torch.equal(many, Denoiser(network, (3, 32, 32), 32).predict(pictures))
