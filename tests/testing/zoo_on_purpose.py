"""Components that say they do something on purpose, and do not; or do it and say nothing."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from zoo_building import Bent
from zoo_honest import ClippedByNorm, Langevin, Rounded, SpreadOut
from zoo_losses import Squared
from zoo_optimizers import Plain, WithMomentum


class SurrogateOfItself(Bent):
    """Declares a surrogate, and its gradient is the derivative of what it computes."""

    caught_by = "declared_surrogate"
    spec_members: ClassVar[dict[str, Any]] = {"surrogate": "nobody would look at the gradients then"}

    def surrogate(self, x: Tensor) -> Tensor:
        return x + x * x / 4


class SurrogateWithoutReason(Rounded):
    """Declares a surrogate without a reason."""

    caught_by = "declared_surrogate"
    spec_members: ClassVar[dict[str, Any]] = {"surrogate": "yes"}


class StraightThroughDoubled(Rounded):
    """The gradient goes straight through, and is doubled on the way."""

    caught_by = "input_gradient"

    def backward(self, grad_output: Tensor) -> Tensor:
        return 2 * grad_output


class ComparesNothing(Squared):
    """Declares that it compares the samples of a batch, and is a mean over them."""

    caught_by = "declared_comparison"
    compares_samples = True
    spec_members: ClassVar[dict[str, Any]] = {"compares_samples": "the whole batch is wanted at once"}


class ComparesUntold(SpreadOut):
    """Its spec says that it compares samples, and the loss itself does not, so that a trainer takes it in slices."""

    caught_by = "declared_comparison"
    compares_samples = False


class CouplesNothing(WithMomentum):
    """Declares that a step looks at all gradients, and it looks at one."""

    caught_by = "declared_coupling"
    couples_parameters = "it might look at all gradients one day"


class CoupledWithoutReason(ClippedByNorm):
    """Clips by the norm of all gradients, and does not say why."""

    caught_by = "declared_coupling"
    couples_parameters = " "


class RandomUntold(Plain):
    """Noise in its steps, from its generator, which it does not declare."""

    caught_by = "undeclared_random_steps"

    def step(self) -> None:
        super().step()
        for parameter in self.parameters:
            parameter.add_(self.lr * torch.randn(parameter.shape, generator=self.generator, dtype=parameter.dtype))

    def state_dict(self) -> dict[str, Tensor]:
        return {"generator": self.generator.get_state()}


class RateUntold(Plain):
    """Draws, once, from its generator by how much its rate differs from what it was told."""

    caught_by = "undeclared_random_steps"

    def step(self) -> None:
        share = 1 + 0.01 * torch.rand((), generator=torch.Generator().manual_seed(self.generator.initial_seed()))
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.sub_(self.lr * float(share) * gradient)


class NothingRandom(WithMomentum):
    """Declares that its steps are random, and they are not."""

    caught_by = "declared_random_steps"
    random_steps = "it was random in an earlier version"


class RandomByItself(Langevin):
    """Seeds its generator by itself, so that the noise is the same in every training."""

    caught_by = "declared_random_steps"

    def step(self) -> None:
        self.generator.manual_seed(0)
        super().step()


class GeneratorNotSaved(Langevin):
    """The state of its generator is not saved, so that a training that goes on repeats its noise."""

    caught_by = "state_resumes"

    def state_dict(self) -> dict[str, Tensor]:
        return {}
