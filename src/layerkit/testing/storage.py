"""Where hypothesis keeps its files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import configuration


@contextmanager
def hypothesis_in_a_temporary_folder() -> Iterator[None]:
    """Keep hypothesis from leaving ``.hypothesis`` in the folder where a command is run."""
    with tempfile.TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)  # as its settings say
