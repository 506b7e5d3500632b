"""Sweeps that are shared through a database, a real PostgreSQL; where none is installed, only its URLs are tested."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from postgres import PASSWORD, binaries, running
from psycopg import sql
from watched import Watcher, Work

from layerkit import installed
from layerkit.cli import run
from layerkit.data.sources import fingerprint
from layerkit.errors import FolderInUseError, RunError, UserError
from layerkit.experiments.database import DatabaseStore
from layerkit.experiments.database_url import DatabaseURL
from layerkit.experiments.loading import load_experiment
from layerkit.experiments.plan import plan
from layerkit.experiments.sweep import Planned, Sweep


@pytest.fixture(scope="module")
def server():
    place = binaries()
    if place is None:
        if os.environ.get("LAYERKIT_POSTGRES"):
            pytest.fail("PostgreSQL is not installed, and LAYERKIT_POSTGRES asks for it")
        pytest.skip("PostgreSQL is not installed")
    with running(place) as url:
        yield url


@pytest.fixture
def url(server, request):
    """Return the URL of a new database."""
    name = f"test{abs(hash(request.node.name))}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return server.removesuffix("postgres") + name


@pytest.fixture
def machine(url, experiment, tiny, tmp_path):
    """Return a function that gives a sweep on a machine with a folder of its own."""

    def machine(name: str, **values) -> Work:
        file = load_experiment(experiment(**values))
        data = fingerprint(str(tiny.data))
        trials = {trial.key(data): trial for trial in plan(file, installed())}
        store = DatabaseStore(tmp_path / name, DatabaseURL(url))
        opened.append(store)
        return Work(store, str(tiny.data), Planned(file.experiment.name, trials))

    opened = []
    yield machine
    for store in opened:
        store.close()


def test_machines_without_a_common_folder_divide_the_trials(machine):
    values = {"vary": {"training.batch_size": [5, 8, 10]}}
    first, second = machine("first", **values), machine("second", **values)
    with ThreadPoolExecutor(2) as pool:
        watchers = list(pool.map(Work.work, (first, second)))
    assert sorted(watchers[0].ended + watchers[1].ended) == sorted(f"{label}: done" for label in first.results)
    assert first.results == second.results
    assert None not in first.results.values()
    for key in first.planned.trials:
        both = [(work.store.pictures(key) / "tiles.png").read_bytes() for work in (first, second)]
        assert both[0] == both[1]


def test_a_trial_that_another_machine_trains_is_left_to_it_until_that_is_gone(machine):
    first, second = machine("first"), machine("second")
    taken, _ = first.planned.trials
    with first.store.claimed(taken):
        with pytest.raises(FolderInUseError, match=f"another process works on the trial {taken}"), \
                second.store.claimed(taken):  # fmt: skip
            pass
        watcher = second.work()
        assert len(watcher.ended) == 1
        assert watcher.said == ["sizes: other processes train what is left, 1 of 2 trials"]
    with first.store.claimed(taken):
        first.store._connection.close()  # as when the machine goes out
        assert len(second.work().ended) == 1


def test_trials_are_timed_by_one_machine_alone(machine):
    first, second = machine("first", timed=True), machine("second", timed=True)
    with first.store.timing("sizes"):
        watcher = second.work()
    assert (watcher.ended, watcher.said) == ([], ["sizes: another process times trials, one after the other"])
    assert len(second.work().ended) == 2


def test_a_connection_that_is_cut_is_made_again_and_the_trial_is_still_its_own(machine, url):
    first, second = machine("first"), machine("second")
    taken, _ = first.planned.trials
    with first.store.claimed(taken):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s",
                [first.store._connection.info.backend_pid],
            )
        assert first.store.result(taken) is None
        with pytest.raises(FolderInUseError), second.store.claimed(taken):
            pass
    with second.store.claimed(taken):
        pass


def test_a_result_that_could_not_be_sent_is_in_the_folder_and_sent_later(machine, url):
    class Breaking(Watcher):
        def step(self, event):
            super().step(event)
            if self.steps == 1:
                rename("layerkit_results", "away")

    def rename(old, new):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))

    first = machine("first", vary={"training.batch_size": [4]})
    with pytest.raises(RunError, match=r'the database .* does not answer as it should: relation "layerkit_results"'):
        Sweep(first.store, first.data, installed(), Breaking()).work(first.planned)
    rename("away", "layerkit_results")
    second = machine("second", vary={"training.batch_size": [4]})
    assert set(second.results.values()) == {None}
    assert first.work().ended == []
    assert second.results == first.results != {}


def test_a_result_of_something_else_does_not_count(machine, url):
    work = machine("one", vary={"training.batch_size": [10]})
    (key,) = work.planned.trials
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO layerkit_results (key, result) VALUES (%s, '{\"key\": 3}')", [key])
    assert work.store.result(key) is None
    assert len(work.work().ended) == 1


def test_the_command_shares_a_sweep_and_never_shows_the_password(url, experiment, tiny, tmp_path, capsys):
    def command(folder, storage=url):
        given = ["experiment", str(experiment()), "--data", str(tiny.data), "--storage", storage]
        return run([*given, "--output", str(tmp_path / folder)])

    assert command("first") == 0
    assert capsys.readouterr().out.count("training.batch_size") == 2
    assert command("second") == 0
    said = capsys.readouterr().out
    assert "2 of 2 trainings have their results" in said
    assert "training.batch_size" not in said
    pages = [(tmp_path / folder / "report.html").read_text() for folder in ("first", "second")]
    assert pages[0].count("<img") == pages[1].count("<img")
    assert command("third", url.replace("s3cret", "s4cret")) == 1
    error = capsys.readouterr().err
    assert "error: the database postgresql://layerkit:***@127.0.0.1:" in error
    assert 'password authentication failed for user "layerkit"' in error
    assert "s4cret" not in error
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes() and b"s3cret%2F" not in path.read_bytes()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:pa%2Fss@host:5432/sweep", "postgresql://me:***@host:5432/sweep"),
        ("postgres://me@host/sweep", "postgresql://me@host/sweep"),
        ("postgresql+psycopg2://me:word@host/sweep", "postgresql://me:***@host/sweep"),
        ("postgresql:///sweep?host=/tmp&password=word", "postgresql:///sweep"),
        ("postgresql://[::1]/sweep", "postgresql://[::1]/sweep"),
    ],
)
def test_a_url_is_shown_without_its_password(given, shown):
    url = DatabaseURL(given)
    assert str(url) == shown
    assert repr(url) == f"DatabaseURL({shown!r})"
    assert url.whole == "postgresql://" + given.split("://", 1)[1]


def test_a_password_in_an_error_is_shown_as_stars():
    url = DatabaseURL("postgresql://me:pa%2Fss@host/sweep?sslpassword=word")
    assert url.without_password(ValueError("pa/ss, pa%2Fss and word\nand more")) == "***, *** and ***"
    assert url.without_password(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sqlite:///sweep.db", "SQLite is for one process, .* without --storage all processes that share the --output"),
        ("mysql://me:word@host/sweep", '"mysql://" is no database that a sweep can be shared through; expected postg'),
        ("word", "a storage without a scheme is no database that a sweep can be shared through; expected postgresql:/"),
        ("", "a storage without a scheme is no database"),
        ("postgresql://me:p@word@host/sweep", 'the storage has more than one "@"; write those of a password as %40'),
        ("postgresql://me:p/word@host/sweep", 'the storage has more than one "@"; write those of a password as %40'),
        ("postgresql://me:word@[host/sweep", "the storage is no URL; expected postgresql://USER@HOST/DATABASE"),
    ],
)
def test_what_is_no_database_for_a_sweep_is_a_mistake_and_not_repeated(given, message, tmp_path, capsys):
    with pytest.raises(UserError, match=message):
        DatabaseURL(given)
    assert run(["experiment", str(tmp_path / "none.json"), "--storage", given]) == 2
    assert "word@" not in capsys.readouterr().err


def test_a_database_that_is_not_there_is_an_error(tmp_path, experiment, tiny, capsys):
    given = "postgresql://me:word@127.0.0.1:9/sweep"
    arguments = ["experiment", str(experiment()), "--data", str(tiny.data), "--storage", given]
    assert run([*arguments, "--output", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: the database postgresql://me:***@127.0.0.1:9/sweep does not answer as it should: ")
    assert "refused" in error


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("layerkit.environment.find_spec", lambda name: None if name == "psycopg" else object())
    assert run(["experiment", str(tmp_path / "none.json"), "--storage", "postgresql://host/sweep"]) == 2
    assert "needs psycopg: pip install 'layerkit[storage]'" in capsys.readouterr().err
