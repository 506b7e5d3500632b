"""The contract of a schedule: how large the learning rate is at each point of the training."""

from __future__ import annotations

import math
from abc import abstractmethod

from layerkit.contracts.built import Built
from layerkit.errors import RunError


class Schedule(Built):
    """The base class of all schedules of the learning rate.

    A schedule is a function and has no state: a training that continues after an interruption has the same rates. It is
    continuous, where a warmup ends as well, but at the ``jumps()`` that its spec declares.

    Progress is the share of the steps of a training, over all its epochs, that have been taken: 0 at the first step,
    just under 1 at the last. With another number of epochs the same schedule is stretched or shortened.
    """

    @abstractmethod
    def factor(self, progress: float) -> float:
        """Return the factor that multiplies the optimizer's learning rate, finite and not negative.

        Args:
            progress: from 0 to 1, both included.
        """

    def __call__(self, progress: float) -> float:
        """Return the checked :meth:`factor`.

        Args:
            progress: from 0 to 1, both included.

        Raises:
            RunError: when ``factor`` fails, or returns a number that is negative or not finite.
        """
        name = f"{type(self).__name__}.factor({progress:g})"
        try:
            factor = float(self.factor(progress))
        except Exception as error:
            raise RunError(f"{name} failed ({type(error).__name__}: {error}); {_REMEDY}") from error
        if not 0 <= factor < math.inf:
            raise RunError(f"{name} gave {factor}, expected a finite number, 0 or more; {_REMEDY}")
        return factor


_REMEDY = "this is a mistake in its package, please report it there"
