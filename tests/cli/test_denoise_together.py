"""``layerkit denoise`` by several processes, as torchrun starts them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from together import Together, together
from works import command, denoise_until

from layerkit import build, load_architecture, save
from layerkit.cli import run
from layerkit.cli.shared_denoising import divided
from layerkit.cli.works import Work

NET = (
    '{"format": 1, "name": "net", "input": {"channels": 3, "height": 8, "width": 8}, '
    '"layers": [{"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}]}'
)
STOPPED = 128 + signal.SIGTERM


def network(path: Path, text: str) -> None:
    architecture = load_architecture(text)
    save(path, build(architecture), architecture)


@pytest.fixture
def given(tmp_path) -> list[str]:
    """Return the first words of the command, with a network and a folder of pictures of several sizes and kinds."""
    network(tmp_path / "net.safetensors", NET)
    (tmp_path / "in").mkdir()
    generator = np.random.default_rng(0)
    for number in range(9):
        pixels = generator.integers(0, 256, (9, 12 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/{number}.png")
    Image.fromarray(generator.integers(0, 2**16, (60, 70), dtype=np.uint16)).save(tmp_path / "in/huge.tif")
    return ["denoise", str(tmp_path / "net.safetensors"), str(tmp_path / "in"), "--tile", "16", "--output"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("options", [[], ["--jobs", "2", "--format", "same"], ["--flips"]])
def test_several_processes_write_the_same_bytes_as_one(options, given, tmp_path, capsys):
    if "--flips" in options:
        blind = NET.replace('"channels": 3', '"channels": 4, "noise_level": true')
        network(tmp_path / "net.safetensors", blind.replace('"out_channels": 3', '"out_channels": 4'))
    assert run([*given, str(tmp_path / "one"), *options]) == 0
    told = sorted(capsys.readouterr().out.replace("one/", "two/").splitlines())
    answers = together(3, command, [*given, str(tmp_path / "two"), *options])
    assert [code for code, *_ in answers] == [0, 0, 0]
    assert sorted(line for *_, out in answers for line in out.splitlines()) == told
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_what_is_more_than_the_share_of_a_process_is_divided_into_tiles(tmp_path):
    works = []
    for name, size in (("a", 10), ("b", 500), ("c", 100), ("gone", None)):
        if size is not None:
            (tmp_path / name).write_bytes(b"0" * size)
        works.append(Work(tmp_path / name, tmp_path / f"{name}.png", None))

    def names(*given):
        return ["".join(work.file.name[0] for work in each) for each in divided(*given)]

    assert names(works, 2, True) == ["b", "cag"]
    assert names(works, 7, True) == ["bc", "ag"]
    assert names(works, 2, False) == ["", "bcag"]
    assert names([], 2, True) == ["", ""]


def test_what_is_there_is_skipped_once_for_all(given, tmp_path):
    arguments = [*given, str(tmp_path / "out")]
    assert run([*arguments, "--shard", "1/2"]) == 0
    told = f"error: process 0 of 2 failed: {tmp_path / 'out/0.png'} exists already; use --overwrite or --skip-existing"
    assert [(code, told in text) for code, text, _ in together(2, command, arguments)] == [(2, True)] * 2
    first, second = together(2, command, [*arguments, "--skip-existing"])
    assert (first[0], second[0]) == (0, 0)
    assert first[1].endswith("note: 5 of 10 pictures are there already, and skipped\n")
    assert "skipped" not in second[1]
    assert (first[2] + second[2]).count(" -> ") == 5
    assert len(contents(tmp_path / "out")) == 10


@pytest.mark.parametrize("broken", ["5.png", "huge.tif"])
def test_a_broken_picture_is_named_at_the_end_by_rank_0(broken, given, tmp_path):
    path = tmp_path / "in" / broken
    path.write_bytes(path.read_bytes()[:-200])
    first, second = together(2, command, [*given, str(tmp_path / "out")])
    assert (first[0], second[0]) == (1, 1)
    errors = first[1].splitlines()
    assert errors[-2:-1] == ["error: 1 of 10 pictures could not be denoised:"]
    assert errors[-1].startswith(f"{path}: ")
    assert "error" not in second[1]
    assert len(contents(tmp_path / "out")) == 9


def test_without_a_picture_that_can_be_read_all_have_the_exit_code_of_a_mistake(given, tmp_path):
    for path in (tmp_path / "in").iterdir():
        path.write_bytes(b"")
    assert [code for code, *_ in together(2, command, [*given, str(tmp_path / "out")])] == [2, 2]


@pytest.fixture
def pipes(tmp_path) -> list[str]:
    """Return two pipes, through which it is told that something has happened, and that it goes on."""
    names = [str(tmp_path / name) for name in ("happened", "go")]
    for name in names:
        os.mkfifo(name)
    return names


@pytest.mark.parametrize("rank", [0, 1])
def test_a_full_disk_in_one_process_ends_all_with_one_sentence(rank, given, pipes, tmp_path):
    answers = together(2, denoise_until, [*given, str(tmp_path / "out")], rank, "full disk", *pipes)
    assert [code for code, _ in answers] == [1, 1]
    for _, text in answers:
        assert f"error: process {rank} of 2 failed: {tmp_path / 'out'}/" in text
        assert text.endswith("cannot be written: No space left on device\n")
    assert not [name for name in contents(tmp_path / "out") if name.endswith(".tmp")]


def test_a_process_that_is_killed_is_named_and_the_rest_goes_on_where_it_was(given, pipes, tmp_path):
    arguments = [*given, str(tmp_path / "out")]
    group = Together(2, denoise_until, arguments, 1, "kill", *pipes)
    assert group.processes[1].join() is None
    assert group.processes[1].exitcode == -signal.SIGKILL
    os.kill(group.processes[0].pid, signal.SIGTERM)  # as torchrun does then
    (code, text), _ = group.results()
    assert code == 1
    assert "error: process 1 of 2 does not answer; it was killed, or ran out of memory, or the network is gone" in text
    assert run([*arguments, "--skip-existing"]) == 0
    assert run([*given, str(tmp_path / "whole")]) == 0
    left = {name: data for name, data in contents(tmp_path / "out").items() if not name.endswith(".tmp")}
    assert left == contents(tmp_path / "whole")


def test_all_that_are_asked_to_stop_say_how_to_go_on(given, pipes, tmp_path):
    group = Together(2, denoise_until, [*given, str(tmp_path / "out")], 0, "wait", *pipes)
    Path(pipes[0]).read_text()
    for process in group.processes:
        os.kill(process.pid, signal.SIGTERM)
    Path(pipes[1]).write_text("")
    first, second = group.results()
    assert (first[0], second[0]) == (STOPPED, STOPPED)
    assert first[1].endswith("stopped; what is denoised is there, and --skip-existing goes on with the rest\n")
    assert second[1].endswith("process 1 of 2 stopped with the others\n")
    assert len(contents(tmp_path / "out")) >= 2
    assert not [name for name in contents(tmp_path / "out") if name.endswith(".tmp")]
