"""Which threads may use a network at the same time. That they get the right pictures is tried in tests/denoising."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from layerkit import MSE, Conv2d, Masked, Module, ReLU, Sequential, StateError, installed
from layerkit.contracts.differentiable import EVALUATING
from layerkit.contracts.threads import Evaluating, Training
from layerkit.contracts.workspace import LENT, Workspace

Result = TypeVar("Result")


def elsewhere(call: Callable[[], Result]) -> Result:
    """Return what ``call`` returns in a thread of its own, or raise what it raises."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def network() -> Sequential:
    generator = torch.Generator().manual_seed(0)
    return Sequential(Conv2d(3, 4, 3, padding=1, generator=generator), ReLU(), Conv2d(4, 3, 1, generator=generator))


def picture(seed: int = 0) -> Tensor:
    return torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(seed))


def gradients(net: Module) -> list[Tensor]:
    return [gradient.clone() for _, gradient in net.param()]


# Evaluation


def test_a_network_that_is_evaluated_stays_in_training_mode_for_all_others():
    net = network()
    with Evaluating(net):
        assert not net.training
        assert not any(module.training for _, module in net.modules())
        assert elsewhere(lambda: net.training)
        with Evaluating(net):
            pass
        assert not net.training
    assert net.training


def test_the_mode_and_the_memory_of_a_thread_are_its_own_after_an_error_too():
    net = network()
    with pytest.raises(RuntimeError, match="in between"), Evaluating(net), Workspace([net]):
        assert elsewhere(lambda: (EVALUATING.get(), LENT.get())) == (False, None)
        raise RuntimeError("in between")
    assert net.training and LENT.get() is None


def test_an_evaluation_between_forward_and_backward_leaves_the_gradients():
    net, x, other = network(), picture(), picture(1)
    net.backward(torch.ones_like(net.forward(x)))
    expected = gradients(net)

    def evaluate() -> Tensor:
        with Evaluating(net):
            return net.forward(other)

    net.zero_grad()
    output = net.forward(x)
    answers = [evaluate(), elsewhere(evaluate)]
    net.backward(torch.ones_like(output))
    assert all(map(torch.equal, gradients(net), expected))
    assert all(torch.equal(answer, net.eval().forward(other)) for answer in answers)


def test_a_backward_in_evaluation_is_refused():
    net, x = network(), picture()
    output = net.forward(x)
    with Evaluating(net), pytest.raises(StateError, match="backward before forward; call forward first, in training"):
        net.backward(output)


@pytest.mark.parametrize("component", installed().of_kind("layer"), ids=lambda component: component.name)
@pytest.mark.parametrize("own_mode", ["evaluation", "training"])
def test_evaluation_writes_nothing_into_a_layer(component, own_mode):
    spec = component.spec.model_validate(component.example, context=installed())
    shapes = [*spec.sample_shapes, (4, 6, 6), (3, 6, 6), (4,)]
    shape = next(shape for shape in shapes if takes(spec, shape))
    layer = spec.build(shape, torch.Generator().manual_seed(0))
    x = torch.rand(2, *shape)
    layer.forward(x)
    if own_mode == "evaluation":
        layer.eval()
    before = list(written(layer))
    with Evaluating(layer):
        layer.forward(x)
    assert list(written(layer)) == before


def takes(spec: Any, shape: tuple[int, ...]) -> bool:
    try:
        spec.output_shape(shape)
    except ValueError:
        return False
    return True


def written(layer: Module) -> Iterator[tuple[str, int, object]]:
    """Yield what is different after anything was written into a layer: attributes, and the counters of tensors."""
    for prefix, module in layer.modules():
        for name, value in vars(module).items():
            yield f"{prefix} {name}", id(value), getattr(value, "_version", None)


def test_evaluation_writes_nothing_into_a_loss():
    loss, pair = Masked(MSE()), (picture(), picture(1))
    with Evaluating(network()):
        before = dict(vars(loss.loss)), dict(vars(loss))
        assert torch.equal(loss(*pair), MSE()(*pair))
        assert (vars(loss.loss), vars(loss)) == before
    assert loss.training and loss.loss.training


class Meeting(Module):
    """The identity, in which as many calls meet as the barrier has parties."""

    def __init__(self, barrier: Barrier) -> None:
        super().__init__()
        self.barrier = barrier

    def forward(self, x: Tensor) -> Tensor:
        self.barrier.wait()
        return x.clone()

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.clone()


def test_two_threads_are_inside_a_network_at_once():
    net = Sequential(*network(), Meeting(Barrier(2)))
    xs = [picture(), picture(1)]

    def evaluate(x: Tensor) -> Tensor:
        with Evaluating(net), Workspace(module for _, module in net.modules()):
            return net.forward(x)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(evaluate, xs))
    for x, answer in zip(xs, answers, strict=True):
        assert torch.equal(answer, network().eval().forward(x))


# Training


def test_a_network_is_claimed_by_one_thread_at_a_time():
    net = network()
    with Training([net]):
        with pytest.raises(StateError, match=r"Sequential is in the middle of a training step.* only one step .*copy"):
            elsewhere(lambda: Training([net]).__enter__())
        with pytest.raises(StateError, match="in the middle of a training step"), Training([net]):
            pass
        with pytest.raises(StateError, match="Conv2d is in the middle"), Training([net[0]]), Training([net[2], net[0]]):
            pass
        assert net.trained_by is not None
    assert net.trained_by is None and net[0].trained_by is None
    with pytest.raises(RuntimeError, match="halfway"), Training([net]):
        raise RuntimeError("halfway")
    with Training([net]):
        pass


def test_a_refused_claim_leaves_nothing_claimed():
    net = network()
    with Training([net[2]]):
        with pytest.raises(StateError), Training([net[0], net[2]]):
            pass
        assert net[0].trained_by is None and net[2].trained_by is not None


def test_a_copy_made_in_the_middle_of_a_step_is_free():
    net = network()
    with Training([module for _, module in net.modules()]):
        free = copy.deepcopy(net)
        assert torch.equal(elsewhere(lambda: free.forward(picture())), net.forward(picture()))


def test_a_network_in_the_middle_of_a_step_is_evaluated_by_nobody_else():
    net = network()
    evaluating = Evaluating(net)
    with Training([net[2]]):
        with pytest.raises(StateError, match=r"Sequential: another thread is in the middle of a training step.*copy"):
            elsewhere(evaluating.__enter__)
        with evaluating:  # by the thread that makes the step
            net.forward(picture())
    elsewhere(lambda: evaluating.__enter__())


def test_a_network_in_the_middle_of_a_step_is_called_in_training_mode_by_nobody_else():
    net = network()
    with Training([net]):
        expected = net.forward(picture())
        with pytest.raises(StateError, match="Sequential: forward in training mode while another thread is in the mid"):
            elsewhere(lambda: net.forward(picture(1)))
        net.backward(torch.ones_like(expected))


@pytest.mark.parametrize(
    "change", [lambda net: net[0].weight.mul_(2), lambda net: net.load_state_dict(net.state_dict())]
)
def test_weights_that_change_under_an_evaluation_are_told(change):
    net = network()
    evaluating = Evaluating(net)
    with evaluating:
        net.forward(picture())
    change(net)
    with (
        pytest.raises(StateError, match="Sequential: the weights of this network were changed while it was being eval"),
        evaluating,
    ):
        net.forward(picture())


def test_what_fails_under_an_evaluation_is_told_as_it_is():
    net = network()
    with pytest.raises(RuntimeError, match="something else"), Evaluating(net):
        net[0].weight.mul_(2)
        raise RuntimeError("something else")


def test_backward_belongs_to_the_thread_of_the_last_forward():
    net = network()
    output = net.forward(picture())
    elsewhere(lambda: net.forward(picture(1)))
    with pytest.raises(StateError, match="Conv2d: the last forward was called by another thread, which alone may"):
        net[2].backward(output)
    before = gradients(net)
    with pytest.raises(StateError, match="Sequential: the last forward was called by another thread"):
        net.backward(output)
    assert all(map(torch.equal, gradients(net), before))
