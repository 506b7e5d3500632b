from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from watched import Watcher, Work

from layerkit import installed
from layerkit.data.sources import fingerprint
from layerkit.disk import FolderLock
from layerkit.errors import StoppedError
from layerkit.experiments.loading import load_experiment
from layerkit.experiments.machine_lock import machine_lock
from layerkit.experiments.plan import plan
from layerkit.experiments.results import read_result, write_result
from layerkit.experiments.store import Store
from layerkit.experiments.sweep import Planned, Sweep


@pytest.fixture
def work(experiment, tiny, tmp_path):
    def work(timed=False, **values) -> Work:
        file = load_experiment(experiment(timed=timed, **values))
        data = fingerprint(str(tiny.data))
        trials = {trial.key(data): trial for trial in plan(file, installed())}
        return Work(Store(tmp_path / "report"), str(tiny.data), Planned(file.experiment.name, trials))

    return work


def test_every_trial_has_its_result(work):
    sweep = work()
    watcher = sweep.work()
    assert watcher.began == ["training.batch_size = 2, seed 0", "training.batch_size = 4, seed 0"]
    assert watcher.ended == [f"{label}: done" for label in watcher.began]
    for label, size in zip(watcher.began, (2, 4), strict=True):
        result = sweep.results[label]
        assert result.architecture["training"]["batch_size"] == size
        assert (result.pictures, len(result.examples), result.samples) == (6, 5, 40)
        assert [epoch.epoch for epoch in result.epochs] == [1]
        assert result.epochs[-1].quality == result.denoised
        assert result.seconds > 0 and result.packages["layerkit"] and result.machine["threads"] == 1
        assert (sweep.store.run(result.key) / "montage.png").is_file()


def test_a_montage_that_cannot_be_written_is_told_and_the_trial_has_its_result(work):
    sweep = work(vary={"training.batch_size": [4]})
    (key,) = sweep.planned.trials
    (sweep.store.run(key) / "montage.png").mkdir(parents=True)
    watcher = sweep.work()
    assert [text.rsplit(": ", 1)[1] for text in watcher.ended] == ["done"]
    (said,) = watcher.said
    assert said.startswith("warning: ")
    assert said.endswith("montage.png cannot be written: Is a directory; the trial has its result all the same")


def test_nothing_is_trained_twice(work):
    first = work()
    first.work()
    assert work().work().began == []
    more = work(vary={"training.batch_size": [4, 8]}, title="Another figure")
    assert more.work().began == ["training.batch_size = 8, seed 0"]
    assert all(result.status == "done" for result in more.results.values())


def test_a_stopped_trial_goes_on_where_it_was(work):
    whole = work(vary={"training.batch_size": [4]}, set={"training.epochs": 2})
    whole.work()
    (expected,) = whole.results.values()
    stopped = work(vary={"training.batch_size": [4]}, set={"training.epochs": 2, "training.seed": 9}, seeds=[0])
    stopped.store = Store(whole.store.folder.parent / "stopped")
    with pytest.raises(StoppedError):
        stopped.work(stop_after=13)
    watcher = stopped.work()
    assert watcher.steps == 20 - 13 - 1  # it was asked after the step that the watcher counted last
    (result,) = stopped.results.values()
    assert result.denoised == expected.denoised
    assert [epoch.quality for epoch in result.epochs] == [epoch.quality for epoch in expected.epochs]


def test_a_timed_trial_begins_anew_and_its_seconds_are_its_own(work):
    sweep = work(timed=True, vary={"training.batch_size": [4]})
    with pytest.raises(StoppedError):
        sweep.work(stop_after=5)
    assert sweep.work().steps == 10
    (result,) = sweep.results.values()
    assert result.timed


def test_an_untimed_result_is_not_enough_for_a_timed_experiment_but_the_reverse_is(work):
    work().work()
    timed = work(timed=True)
    assert set(timed.results.values()) == {None}
    assert len(timed.work().began) == 2
    assert work().work().began == []


def test_trials_that_are_timed_come_first_and_others_need_not_be_alone(work):
    sweep = work(timed=True, seeds=[0, 1])
    watcher = sweep.work()
    assert [label.rsplit(", ", 1)[1] for label in watcher.began] == ["seed 0", "seed 0", "seed 1", "seed 1"]
    assert [result.timed for result in sweep.results.values()] == [True, False] * 2
    other = Work(Store(sweep.store.folder.parent / "other"), sweep.data, sweep.planned)
    folder = other.store.folder / "timed" / "sizes"
    folder.mkdir(parents=True)
    lock = FolderLock(folder)
    watcher = other.work()
    assert [label.rsplit(", ", 1)[1] for label in watcher.began] == ["seed 1", "seed 1"]
    assert watcher.said == ["sizes: another process times trials, one after the other"]
    lock.release()


def test_an_interrupted_trial_counts_the_seconds_of_all_its_parts(work, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("layerkit.training.loop.time", SimpleNamespace(perf_counter=lambda: now[0]))

    @dataclass
    class Ticking(Watcher):
        def asked_to_stop(self):
            now[0] += 3  # for each step, and for each end of an epoch
            return super().asked_to_stop()

    sweep = work(vary={"training.batch_size": [4]}, set={"training.epochs": 2})
    whole = Ticking()
    Sweep(sweep.store, sweep.data, installed(), whole).work(sweep.planned)
    ((label, expected),) = sweep.results.items()
    other = Work(Store(sweep.store.folder.parent / "other"), sweep.data, sweep.planned)
    with pytest.raises(StoppedError):
        Sweep(other.store, other.data, installed(), Ticking(stop_after=13)).work(other.planned)
    now[0] += 1_000
    Sweep(other.store, other.data, installed(), Ticking()).work(other.planned)
    assert other.results[label].seconds == pytest.approx(expected.seconds, abs=3)


def test_a_trial_that_diverges_is_recorded_and_does_not_stop_the_others(work):
    sweep = work(vary={"training.optimizer.lr": [1e6, 0.05]})
    watcher = sweep.work()
    assert [text.rsplit(": ", 1)[1] for text in watcher.ended] == ["diverged", "done"]
    lost = sweep.results["training.optimizer.lr = 1000000.0, seed 0"]
    assert "try a smaller learning rate" in lost.message and lost.psnr is None
    assert sweep.work().began == []  # it would diverge again


def test_a_trial_that_fails_is_recorded_and_tried_again_later(work, tiny, tmp_path):
    sweep = work()
    good = sweep.data
    sweep.data = str(tmp_path / "gone.npz")
    watcher = sweep.work()
    assert [text.rsplit(": ", 1)[1] for text in watcher.ended] == ["failed", "failed"]
    assert "no such file or folder" in next(iter(sweep.results.values())).message
    sweep.data = good
    assert len(sweep.work().ended) == 2
    assert {result.status for result in sweep.results.values()} == {"done"}


def test_what_a_trial_failed_on_is_not_tried_again(work):
    sweep = work(vary={"training.batch_size": [4]})
    with pytest.raises(StoppedError):
        sweep.work(stop_after=5)
    (key,) = sweep.planned.trials
    checkpoint = sweep.store.run(key) / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    assert [text.rsplit(": ", 1)[1] for text in sweep.work().ended] == ["failed"]
    assert sweep.work().steps == 10
    assert sweep.store.settled(key)


def test_a_finished_run_whose_result_is_missing_is_not_trained_again(work):
    sweep = work(vary={"training.batch_size": [4]})
    sweep.work()
    ((label, result),) = sweep.results.items()
    (sweep.store.folder / "results" / f"{result.key}.json").unlink()
    watcher = sweep.work()
    assert (watcher.steps, watcher.ended) == (0, [f"{label}: done"])
    again = sweep.results[label]
    assert again.model_copy(update={"finished": result.finished}) == result


def test_a_trial_that_another_process_trains_is_left_to_it(work):
    sweep = work()
    key = next(iter(sweep.planned.trials))
    sweep.store.run(key).mkdir(parents=True)
    lock = FolderLock(sweep.store.run(key))
    watcher = sweep.work()
    assert watcher.began == ["training.batch_size = 4, seed 0"]
    assert watcher.said == ["sizes: other processes train what is left, 1 of 2 trials"]
    lock.release()
    assert sweep.work().began == ["training.batch_size = 2, seed 0"]


def test_timed_trials_are_left_to_the_process_that_times_them(work):
    sweep = work(timed=True)
    folder = sweep.store.folder / "timed" / "sizes"
    folder.mkdir(parents=True)
    lock = FolderLock(folder)
    watcher = sweep.work()
    assert watcher.began == []
    assert watcher.said == ["sizes: another process times trials, one after the other"]
    lock.release()
    assert len(sweep.work().began) == 2


def test_a_timed_trial_waits_for_others_on_the_machine(work):
    sweep = work(timed=True)
    with machine_lock(sweep.store.folder, False, lambda: None, lambda: None):
        with pytest.raises(StoppedError, match="stopped while waiting for other trials on this machine"):
            sweep.work(stop_after=0)
        with machine_lock(sweep.store.folder, False, lambda: None, lambda: None):
            pass  # those that are not timed run beside one another
    assert len(sweep.work().began) == 2


def test_a_trial_that_is_let_go_while_others_are_trained_is_taken_up(work):
    sweep = work()
    held = sweep.store.run(next(iter(sweep.planned.trials)))
    held.mkdir(parents=True)
    lock = FolderLock(held)

    @dataclass
    class Releasing(Watcher):
        def ends(self, trial, result):
            super().ends(trial, result)
            if len(self.ended) == 1:
                lock.release()

    watcher = Releasing()
    Sweep(sweep.store, sweep.data, installed(), watcher).work(sweep.planned)
    assert watcher.began == ["training.batch_size = 4, seed 0", "training.batch_size = 2, seed 0"]
    assert watcher.said == []


def test_a_trial_that_another_process_has_just_finished_keeps_its_run(work):
    sweep, other = work(), work()
    finished = {}

    @dataclass
    class Overtaken(Watcher):
        def begins(self, trial):
            super().begins(trial)
            if len(self.began) == 1:  # while this one trains the first trial, another process trains the second
                other.work()
                for key in other.planned.trials:
                    path = other.store.run(key) / "checkpoint.safetensors"
                    finished[key] = path.read_bytes() if path.exists() else None

    watcher = Overtaken()
    Sweep(sweep.store, sweep.data, installed(), watcher).work(sweep.planned)
    assert watcher.began == ["training.batch_size = 2, seed 0"]
    _, second = sweep.planned.trials
    assert finished[second] == (sweep.store.run(second) / "checkpoint.safetensors").read_bytes()


def test_threads_of_one_process_share_the_trials(work):
    sweep = work(vary={"training.batch_size": [1, 2, 4, 8, 16]})
    with ThreadPoolExecutor(2) as pool:
        watchers = [task.result() for task in [pool.submit(sweep.work) for _ in range(2)]]
    began = [label for watcher in watchers for label in watcher.began]
    assert sorted(began) == sorted(sweep.results)  # each of them once
    assert {result.status for result in sweep.results.values()} == {"done"}


def test_the_journal_that_former_versions_kept_is_left_alone(work):
    sweep = work()
    journal = sweep.store.folder / "trials.journal"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b"half a li")
    assert len(sweep.work().began) == 2
    assert sweep.work().began == []
    assert journal.read_bytes() == b"half a li"


def test_a_result_of_another_training_does_not_count(work):
    sweep = work()
    sweep.work()
    first, second = sweep.planned.trials
    path = sweep.store.folder / "results" / f"{first}.json"
    assert read_result(path, first) is not None
    write_result(path, sweep.store.result(second))
    assert read_result(path, first) is None
    path.write_text(path.read_text()[:-20])
    assert read_result(path, second) is None
    assert sweep.work().began == ["training.batch_size = 2, seed 0"]
