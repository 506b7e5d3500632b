"""Checks during training that layers keep their promises.

A layer that returns another shape than its spec promised, changes its input or loses a gradient causes trouble
elsewhere: an error in a correct layer, or a network that learns less than it could. Watching every layer at every step
would take longer than the step. So the first step of a run and every thousandth are *inspected* before they are taken:
they are run with a few samples while every layer is watched. A step that fails is inspected with all its samples. An
inspection does not change the network, so the result of a training does not depend on inspections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Shape, Spec
from layerkit.contracts.watching import Backward, Forward, watching
from layerkit.errors import BrokenLayerError
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.architecture import Architecture
from layerkit.spec.tracing import built_from, trace
from layerkit.training.dry_run import dry_run
from layerkit.wording import json_path

STEPS_BETWEEN = 1_000
SAMPLES = 2
MODERATE = 1e4
"""For inputs up to this size a layer must return finite numbers; larger ones mean that the training has diverged."""


Result = TypeVar("Result")


class Inspector:
    """Inspects steps of a network that was built from an architecture.

    Args:
        network: the network, built from ``architecture``.
        loss: the loss of its training.
        architecture: has the specs of the layers and of the loss, with their promises.
        catalogue: has the package of each component.
    """

    def __init__(self, network: Module, loss: Loss, architecture: Architecture, catalogue: Catalogue) -> None:
        self.network, self.loss = network, loss
        self._loss_name = f"the loss ({_origin(architecture.trained.loss, catalogue)})"
        steps = trace(architecture.network, architecture.input.shape)
        self._layers = [
            (module, step.layer, f"{json_path(step.path)} ({_origin(step.layer, catalogue)})")
            for step, module in built_from(steps, network)
        ]
        self._steps = 0

    def before_step(self, noisy: Tensor, target: Tensor) -> None:
        """Count a step, and inspect it on a few samples if it is the first or a thousandth.

        Raises:
            BrokenLayerError: with the layer, its package and its fault.
        """
        if self._steps % STEPS_BETWEEN == 0:
            self.inspect(noisy[:SAMPLES], target[:SAMPLES])
        self._steps += 1

    def inspect(self, noisy: Tensor, target: Tensor) -> None:
        """Run a step without the change of the weights while every layer is watched; nothing is changed afterwards.

        Raises:
            BrokenLayerError: with the layer, its package and its fault.
        """
        self.network.train()
        guards = ((layer[0], _Guard(*layer)) for layer in self._layers)
        with dry_run(self.network), watching(guards):
            prediction = self.network.forward(noisy)
            self.network.backward(self._gradient(prediction, target))

    def _gradient(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss's gradient with respect to the prediction after checking it."""
        loss: object = self.loss.forward(prediction, target)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise BrokenLayerError(f"{self._loss_name}: forward returned {_shown(loss)}, expected one number")
        grad: object = self.loss.backward()
        if not isinstance(grad, Tensor) or grad.shape != prediction.shape or grad.dtype != prediction.dtype:
            raise BrokenLayerError(
                f"{self._loss_name}: backward returned {_shown(grad)}, expected {_shown(prediction)}"
            )
        return grad


def _origin(spec: Spec, catalogue: Catalogue) -> str:
    component = catalogue.components.get((spec.kind, spec.name()))
    return f"{spec.name()}, from {component.distribution} {component.version}" if component else spec.name()


class _Guard:
    """Checks the inputs and outputs of one layer."""

    def __init__(self, module: Module, spec: LayerSpec, where: str) -> None:
        self.module, self.spec, self.where = module, spec, where
        self._x: Tensor | None = None  # a copy of the last forward's input

    def forward(self, method: Forward, x: Tensor) -> Tensor:
        """Return the layer's output after checking it."""
        given, moderate = x.clone(), self._moderate(x)
        self._x = given
        y: object = self._guarded("forward", lambda: method(x))
        if not _same(x, given):
            raise self._fault("forward changed its input; it must write into tensors of its own")
        if not isinstance(y, Tensor):
            raise self._fault(f"forward returned {_shown(y)}, expected a tensor")
        shape: Shape = tuple(x.shape[1:])
        promised = len(x), *self._guarded("output_shape", lambda: self.spec.output_shape(shape))
        if tuple(y.shape) != promised:
            raise self._fault(f"forward returned {tuple(y.shape)}, its spec promised {promised}")
        if y.dtype != x.dtype:
            raise self._fault(f"forward returned {y.dtype} for an input of {x.dtype}")
        if moderate and not y.isfinite().all():
            raise self._fault(f"forward returned numbers that are not finite, for inputs of {_range(given)}")
        return y

    def backward(self, method: Backward, grad_output: Tensor) -> Tensor | None:
        """Return the layer's input gradient after checking it and the gradients of the parameters."""
        x = self._x
        if x is None:
            raise self._fault("backward was called before forward")
        given, moderate = grad_output.clone(), self._moderate(grad_output)
        before = {name: (grad, grad.clone(), grad._version) for name, (_, grad) in self.module.named_param().items()}
        grad_input: object = self._guarded("backward", lambda: method(grad_output))
        if not _same(grad_output, given):
            raise self._fault("backward changed the gradient it was given; it must write into tensors of its own")
        checked = self._input_gradient(grad_input, x, moderate)
        self._check_gradients(before, moderate, asked=bool(given.any()) and bool(x.numel()))
        return checked

    def _input_gradient(self, grad_input: object, x: Tensor, moderate: bool) -> Tensor | None:
        """Return the input gradient after checking it; None only where it is not needed."""
        if grad_input is None and not self.module.needs_input_grad:
            return None
        if not isinstance(grad_input, Tensor) or grad_input.shape != x.shape or grad_input.dtype != x.dtype:
            given, wanted = _shown(grad_input), _shown(x)
            raise self._fault(f"backward returned {given}, expected the gradient of its input, {wanted}")
        if moderate and not grad_input.isfinite().all():
            raise self._fault("backward returned numbers that are not finite")
        return grad_input

    def _check_gradients(self, before: dict[str, tuple[Tensor, Tensor, int]], moderate: bool, asked: bool) -> None:
        for parameter, grad in self.module.param():
            if grad.shape != parameter.shape:
                raise self._fault(f"param gave a gradient {_shown(grad)} for a parameter {_shown(parameter)}")
        after = self.module.named_param()
        for name, (grad, old, version) in before.items():
            if name not in after or after[name][1] is not grad:
                raise self._fault(f"backward put another tensor in the place of the gradient of {name}; add into it")
            if asked and grad._version == version and _same(grad, old):
                raise self._fault(f"backward added nothing to the gradient of {name}")
            if moderate and not grad.isfinite().all():
                raise self._fault(f"backward made a gradient of {name} that is not finite")

    def _guarded(self, name: str, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except BrokenLayerError:
            raise
        except Exception as error:
            raise self._fault(f"{name} failed: {type(error).__name__}: {error}") from error

    def _moderate(self, given: Tensor) -> bool:
        floats = (tensor for tensor in (given, *self.module.state_dict().values()) if tensor.is_floating_point())
        return all(bool((tensor.abs() <= MODERATE).all()) for tensor in floats)

    def _fault(self, message: str) -> BrokenLayerError:
        return BrokenLayerError(f"{self.where}: {message}")


def _same(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors are equal, with NaN equal to NaN."""
    return bool(((a == b) | ((a != a) & (b != b))).all())


def _shown(value: object) -> str:
    return f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def _range(x: Tensor) -> str:
    return f"{x.min().item():.4g} to {x.max().item():.4g}" if x.numel() else "no numbers"
