"""A component gives on another device what it gives on the processor, to which all other checks hold it."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.specs import KindName
from layerkit.testing.cases.case import LayerCase, LossCase, NoiseCase, OptimizerCase
from layerkit.testing.check import Check, not_applicable, require
from layerkit.testing.instruments.comparison import require_close
from layerkit.testing.instruments.passes import forward, run_pass

KINDS: tuple[KindName, ...] = ("layer", "loss", "optimizer", "noise")
DeviceCase = LayerCase | LossCase | OptimizerCase | NoiseCase

_NO_VALUES = ("meta tensor", "Meta tensor", "aten::_local_scalar_dense", "no data", "register_meta")
"""Words by which torch says that the device ``meta`` holds no values."""


def same_on(device: torch.device) -> Check:
    """Return the check for a device, which may be ``meta``: that holds no values, but tensors that lie there.

    It is no part of the battery, since it says nothing on a machine that has only a processor.
    """

    def same_on_the_device(case: DeviceCase) -> None:
        """On the device of its inputs it gives what it gives on the processor, but for rounding, and leaves it there.

        Random numbers are others on every kind of device, so what is drawn is compared in shape and place only.
        """
        try:
            given = _used(case, device)
        except (RuntimeError, NotImplementedError) as error:
            if device.type == "meta" and any(words in str(error) for words in _NO_VALUES):
                not_applicable("it looks at values, and meta holds none")
            raise
        wanted = _used(case, torch.device("cpu"))
        for name, value in given.items():
            expected = wanted[name]
            require(value.device.type == device.type, f"on {device} {name} is on {value.device}")
            if device.type == "meta" or _is_drawn(case, name):
                require(value.shape == expected.shape, f"on {device} {name} is {tuple(value.shape)}")
            else:
                require_close(value.cpu(), expected, f"on {device} {name} is another than on the processor")

    return Check("same_on_the_device", KINDS, same_on_the_device, share=0.3)


def _is_drawn(case: DeviceCase, name: str) -> bool:
    """Return whether a result depends on random numbers."""
    match case:
        case LayerCase():
            return case.declares("stochastic")
        case NoiseCase():
            return name != "the clean picture"
    return False


def _used(case: DeviceCase, device: torch.device) -> dict[str, Tensor]:
    """Return what it gives for tensors on a device."""
    match case:
        case LayerCase():
            layer, x = moved(case.layer(), device), case.input().to(device)
            done = run_pass(layer, x, lambda output: case.cotangent(output).to(device))
            found = {"the output": done.output, "the gradient of the input": done.grad_input}
            found |= {f"the gradient of {name}": gradient for name, gradient in done.gradients.items()}
            return found | {"the output in evaluation": forward(layer.eval(), x)}
        case LossCase():
            loss, prediction, target = case.loss(), case.prediction().to(device), case.target().to(device)
            return {"the loss": loss.forward(prediction, target), "the gradient": loss.backward()}
        case OptimizerCase():
            pairs = [(parameter.to(device), gradient.to(device)) for parameter, gradient in case.pairs()]
            optimizer = case.optimizer(pairs)
            for step in range(3):
                case.give_gradients(pairs, step)
                optimizer.step()
            return {f"parameter {index}": parameter for index, (parameter, _) in enumerate(pairs)}
        case NoiseCase():
            noise = case.noise()
            source = case.source(noise).to(device)
            found = {"the clean picture": noise.clean(source)}
            if device.type == "meta":  # nothing draws numbers there
                return found
            generator = torch.Generator(device).manual_seed(case.seed)
            return found | {"a draw": noise.draw(source, generator), "a target": noise.target(source, generator)}


def moved(layer: Module, device: torch.device) -> Module:
    """Return the layer on a device; on ``meta``, where :meth:`Module.to` cannot move it, with other tensors."""
    if device.type != "meta":
        return layer.to(device=device)
    for _, module in layer.modules():
        for name in module._held():
            vars(module)[name] = vars(module)[name].to(device)
    return layer
