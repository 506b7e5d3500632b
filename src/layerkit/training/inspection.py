"""Layers held to their word in training.

A layer that returns another shape than its spec promised, changes its input or drops a gradient, does harm elsewhere:
an error in an innocent layer, or a network that learns less than it could. To watch every layer at every step would
cost more than the step. So the first step of a run and every thousandth are *rehearsed* before they are taken, with a
few samples and every layer watched, and a step that fails is rehearsed as it was. A rehearsal leaves no trace, so that
nothing depends on when it takes place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, Spec
from layerkit.errors import BrokenLayerError
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.architecture import Architecture
from layerkit.spec.tracing import trace
from layerkit.training.rehearsal import rehearsing
from layerkit.wording import json_path

STEPS_BETWEEN = 1_000
SAMPLES = 2
MODERATE = 1e4
"""Numbers up to this size must not become infinite in a layer; beyond it, it is training that has diverged."""


class Inspector:
    """Rehearses steps of a network that was built from an architecture.

    Args:
        network: built from ``architecture``.
        loss: of its training.
        architecture: says what every layer promised, and which loss trains it.
        catalogue: knows which package each layer came from.
    """

    def __init__(self, network: Module, loss: Loss, architecture: Architecture, catalogue: Catalogue) -> None:
        self.network, self.loss = network, loss
        self._loss_name = f"the loss ({_origin(architecture.trained.loss, catalogue)})"
        paths = {id(step.layer): step.path for step in trace(architecture.network, architecture.input.shape)}
        self._watches = [
            _Watch(module, spec, f"{json_path(paths[id(spec)])} ({_origin(spec, catalogue)})")
            for _, module in network.modules()
            if (spec := module.declared_by) is not None and id(spec) in paths
        ]
        self._steps = 0

    def before_step(self, noisy: Tensor, target: Tensor) -> None:
        """Count a step, and rehearse it on a few samples when its turn has come.

        Raises:
            BrokenLayerError: with the layer, its package and what it did.
        """
        if self._steps % STEPS_BETWEEN == 0:
            self.rehearse(noisy[:SAMPLES], target[:SAMPLES])
        self._steps += 1

    def rehearse(self, noisy: Tensor, target: Tensor) -> None:
        """Run a step up to the change of the weights with every layer watched; nothing is different afterwards.

        Raises:
            BrokenLayerError: with the layer, its package and what it did.
        """
        self.network.train()
        with rehearsing(self.network), ExitStack() as stack:
            for watch in self._watches:
                stack.enter_context(watch.watching())
            prediction = self.network.forward(noisy)
            loss = self.loss.forward(prediction, target)
            if not isinstance(loss, Tensor) or loss.numel() != 1:
                raise BrokenLayerError(f"{self._loss_name}: forward returned {_shown(loss)}, expected one number")
            grad = self.loss.backward()
            if not isinstance(grad, Tensor) or grad.shape != prediction.shape or grad.dtype != prediction.dtype:
                raise BrokenLayerError(
                    f"{self._loss_name}: backward returned {_shown(grad)}, expected {_shown(prediction)}"
                )
            self.network.backward(grad)


def _origin(spec: Spec, catalogue: Catalogue) -> str:
    component = catalogue.components.get((spec.kind, spec.name()))
    return f"{spec.name()}, from {component.distribution} {component.version}" if component else spec.name()


class _Watch:
    """One layer, watched: its own ``forward`` and ``backward`` are called in between checks."""

    def __init__(self, module: Module, spec: LayerSpec, where: str) -> None:
        self.module, self.spec, self.where = module, spec, where
        self._x: Tensor | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        # On the instance they hide the methods of the class, whoever calls them.
        for name in ("forward", "backward"):
            object.__setattr__(self.module, name, getattr(self, name))
        try:
            yield
        finally:
            for name in ("forward", "backward"):
                self.module.__dict__.pop(name)
            self._x = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output, checked."""
        self._x = x.clone()
        moderate = self._moderate(x)
        y = self._call("forward", x)
        if not _same(x, self._x):
            raise self._fault("forward changed its input; it must write into tensors of its own")
        if not isinstance(y, Tensor):
            raise self._fault(f"forward returned {_shown(y)}, expected a tensor")
        promised = len(x), *self._call_spec(tuple(x.shape[1:]))
        if tuple(y.shape) != promised:
            raise self._fault(f"forward returned {tuple(y.shape)}, its spec promised {promised}")
        if y.dtype != x.dtype:
            raise self._fault(f"forward returned {y.dtype} for an input of {x.dtype}")
        if moderate and not y.isfinite().all():
            raise self._fault(f"forward returned numbers that are not finite, for inputs of {_range(self._x)}")
        return y

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Return the layer's input gradient, checked, with those of its parameters."""
        x = self._x
        if x is None:
            raise self._fault("backward was called before forward")
        given, moderate = grad_output.clone(), self._moderate(grad_output)
        before = {name: (grad, grad.clone(), grad._version) for name, (_, grad) in self.module.named_param().items()}
        grad_input = self._call("backward", grad_output)
        if not _same(grad_output, given):
            raise self._fault("backward changed the gradient it was given; it must write into tensors of its own")
        if not (grad_input is None and not self.module.needs_input_grad):
            expected = f"expected the gradient of its input, {_shown(x)}"
            if not isinstance(grad_input, Tensor) or grad_input.shape != x.shape or grad_input.dtype != x.dtype:
                raise self._fault(f"backward returned {_shown(grad_input)}, {expected}")
            if moderate and not grad_input.isfinite().all():
                raise self._fault("backward returned numbers that are not finite")
        self._check_gradients(before, moderate, asked=bool(given.any()) and bool(x.numel()))
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

    def _call(self, name: str, argument: Tensor) -> Any:
        return self._guarded(name, lambda: getattr(type(self.module), name)(self.module, argument))

    def _call_spec(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(self._guarded("output_shape", lambda: self.spec.output_shape(shape)))

    def _guarded(self, name: str, call: Callable[[], Any]) -> Any:
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


def _shown(value: Any) -> str:
    return f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def _range(x: Tensor) -> str:
    return f"{x.min().item():.4g} to {x.max().item():.4g}" if x.numel() else "no numbers"
