from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.errors import CheckpointError, ShapeError, StateError


class Scale(Module):
    """y = gain * x, with a count of calls as a buffer and a generator, as dropout has one."""

    def __init__(self, gain: float = 2.0) -> None:
        super().__init__()
        self.add_parameter("gain", torch.tensor([gain]))
        self.add_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.add_buffer("mean", torch.zeros(1))
        self.generator = torch.Generator().manual_seed(7)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.save(x)
        return self.gain * x

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        self.gain_grad += (grad_output * x).sum()
        return self.gain * grad_output


class Pair(Module):
    """Two layers, one after the other, as attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Scale(2.0), Scale(3.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))

    def backward(self, grad_output: Tensor) -> Tensor:
        return self.first.backward(self.second.backward(grad_output))


class Constant(Module):
    """A layer whose author forgot to call ``super().__init__``."""

    def __init__(self) -> None:
        self.add_parameter("value", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.value.expand(x.shape).clone()

    def backward(self, grad_output: Tensor) -> Tensor:
        self.value_grad += grad_output.sum()
        return torch.zeros_like(grad_output)


def test_a_module_must_define_forward_and_backward() -> None:
    class Half(Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(TypeError, match="backward"):
        Half()


# Backward needs its forward


def test_backward_before_forward_is_refused() -> None:
    with pytest.raises(StateError, match="Scale: backward before forward; call forward first, in training mode"):
        Scale().backward(torch.ones(1))


def test_evaluation_mode_keeps_nothing() -> None:
    layer = Scale().eval()
    layer(torch.ones(2))
    with pytest.raises(StateError, match="backward before forward"):
        layer.backward(torch.ones(2))
    with pytest.raises(StateError, match="backward before forward"):
        layer.saved()


def test_switching_modes_forgets_the_last_forward() -> None:
    layer = Scale()
    layer(torch.ones(2))
    layer.eval().train()
    assert layer.training
    with pytest.raises(StateError, match="backward before forward"):
        layer.backward(torch.ones(2))


def test_a_forward_that_fails_leaves_nothing_of_the_one_before() -> None:
    layer = Scale()
    layer(torch.ones(2))
    with pytest.raises(TypeError):
        layer.forward("no tensor")
    with pytest.raises(StateError, match="backward before forward"):
        layer.backward(torch.ones(2))


def test_a_forward_that_fails_behind_its_base_class_s_leaves_nothing() -> None:
    class Failing(Scale):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise ValueError("half the way")

    layer = Failing()
    with pytest.raises(ValueError, match="half the way"):
        layer(torch.ones(2))
    with pytest.raises(StateError, match="backward before forward"):
        layer.backward(torch.ones(2))


def test_backward_may_be_called_again() -> None:
    layer = Scale()
    layer(torch.tensor([3.0]))
    layer.backward(torch.ones(1))
    layer.backward(torch.ones(1))
    assert layer.gain_grad.item() == 6


@pytest.mark.parametrize("grad", [torch.ones(3), torch.ones(1, 2), torch.ones(2, dtype=torch.float64)])
def test_a_gradient_unlike_the_output_is_refused(grad: Tensor) -> None:
    layer = Scale()
    layer(torch.ones(2))
    with pytest.raises(ShapeError, match=r"Scale: the gradient must be \(2,\) torch.float32 like the output"):
        layer.backward(grad)
    with pytest.raises(ShapeError, match="the gradient must be"):
        layer.backward(grad_output=grad)


def test_a_kept_tensor_that_was_changed_is_refused() -> None:
    layer, x = Scale(), torch.ones(2)
    layer(x)
    x.add_(1)
    with pytest.raises(StateError, match="a tensor that forward kept was changed in place before backward; pass"):
        layer.backward(torch.ones(2))


def test_a_change_through_a_view_is_seen() -> None:
    layer, x = Scale(), torch.ones(2, 3)
    layer(x)
    x[0].zero_()
    with pytest.raises(StateError, match="changed in place"):
        layer.backward(torch.ones(2, 3))


def test_inference_tensors_which_count_no_changes_are_kept() -> None:
    layer = Scale()
    with torch.inference_mode():
        layer(torch.ones(2))
    assert torch.equal(layer.backward(torch.ones(2)), torch.full((2,), 2.0))


# Autograd stays out


@pytest.mark.parametrize("enabled", [True, False])
def test_no_graph_is_recorded(enabled: bool) -> None:
    layer, x = Scale(), torch.ones(2, requires_grad=True)
    with torch.set_grad_enabled(enabled):
        y = layer(x)
        grad = layer.backward(torch.ones(2, requires_grad=True))
    assert not y.requires_grad and not grad.requires_grad
    assert layer.gain_grad.grad_fn is None


def test_arguments_may_be_named() -> None:
    layer = Scale()
    assert layer.forward(x=torch.ones(1)).item() == 2
    assert layer.backward(grad_output=torch.ones(1)).item() == 2


def test_a_parameter_made_of_one_that_autograd_follows_is_not_followed() -> None:
    layer = Scale()
    layer.add_parameter("other", torch.ones(2, requires_grad=True))
    layer.gain = torch.ones(1, requires_grad=True)
    assert not layer.other.requires_grad and not layer.gain.requires_grad


# Parameters keep their identity


def test_param_gives_pairs_that_share_their_names_and_shapes() -> None:
    net = Pair()
    assert list(net.named_param()) == ["first.gain", "second.gain"]
    assert all(parameter is not grad and parameter.shape == grad.shape for parameter, grad in net.param())
    assert net.param()[0][0] is net.first.gain


def test_forgetting_super_init_does_no_harm() -> None:
    assert len(Constant().param()) == 1


def test_gradients_are_added_to_and_zeroed_in_place() -> None:
    layer = Scale()
    ((_, grad),) = layer.param()
    for _ in range(2):
        layer(torch.tensor([3.0]))
        layer.backward(torch.ones(1))
    assert grad.item() == 6
    layer.zero_grad()
    assert grad.item() == 0
    assert layer.gain_grad is grad


def test_assignment_copies_into_the_tensor_that_others_hold() -> None:
    layer, new = Scale(), torch.tensor([5.0])
    held = layer.gain
    layer.gain = new
    assert layer.gain is held
    assert held.item() == 5
    new.zero_()
    assert held.item() == 5
    layer.gain *= 2
    assert layer.gain is held and held.item() == 10


@pytest.mark.parametrize(("value", "given"), [(torch.ones(2), r"\(2,\)"), (None, "NoneType"), (1.0, "float")])
def test_assignment_of_another_shape_is_refused(value: object, given: str) -> None:
    layer = Scale()
    with pytest.raises(ShapeError, match=rf"Scale.gain is a tensor of \(1,\), not {given}"):
        layer.gain = value


@pytest.mark.parametrize("name", ["gain", "gain_grad", "mean"])
def test_moving_keeps_identity_and_counters_keep_their_kind(name: str) -> None:
    net = Pair()
    held = getattr(net.first, name)
    assert net.to(dtype=torch.float64) is net
    assert getattr(net.first, name) is held
    assert held.dtype == torch.float64
    assert net.first.calls.dtype == torch.int64
    assert net(torch.ones(1, dtype=torch.float64)).dtype == torch.float64


def test_moving_forgets_what_was_kept_in_the_other_dtype() -> None:
    layer = Scale()
    layer(torch.ones(1))
    layer.to(dtype=torch.float64)
    with pytest.raises(StateError, match="backward before forward"):
        layer.backward(torch.ones(1))


def test_modes_reach_the_layers_inside() -> None:
    net = Pair()
    assert not net.eval().second.training
    assert net.train().second.training


# Copies


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_computes_the_same_and_shares_nothing(duplicate) -> None:
    net = Pair()
    net(torch.ones(1))
    twin = duplicate(net)
    twin.first.gain.fill_(9)
    assert net.first.gain.item() == 2
    assert twin(torch.ones(1)).item() == 27
    assert twin.backward(torch.ones(1)).item() == 27
    assert twin.first.gain_grad.item() == 3 and net.first.gain_grad.item() == 0


def test_a_copy_starts_without_the_last_forward() -> None:
    layer = Scale()
    layer(torch.ones(1))
    with pytest.raises(StateError, match="backward before forward"):
        copy.deepcopy(layer).backward(torch.ones(1))
    assert layer.backward(torch.ones(1)).item() == 2


# State


def test_a_surrogate_that_is_declared_must_be_there() -> None:
    with pytest.raises(NotImplementedError, match="Scale has no surrogate, which its spec declares"):
        Scale().surrogate(torch.ones(1, 1))


def test_the_state_has_parameters_buffers_and_generators() -> None:
    names = ["calls", "gain", "generator", "mean"]
    assert sorted(Scale().state_dict()) == names
    assert sorted(Pair().state_dict()) == sorted(f"{part}.{name}" for part in ("first", "second") for name in names)


def test_the_state_restores_values_in_place_and_the_generator() -> None:
    source, target = Scale(5.0), Scale()
    source(torch.ones(1))
    torch.rand(3, generator=source.generator)
    held = target.gain
    state = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    target.load_state_dict(state)
    assert target.gain is held and held.item() == 5 and target.calls.item() == 1
    assert torch.equal(torch.rand(5, generator=source.generator), torch.rand(5, generator=target.generator))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gain": None}, "the weights do not fit Scale: gain is missing"),
        ({"extra": torch.ones(1)}, "extra is unknown"),
        ({"gain": torch.ones(2)}, r"gain must be \(1,\), not \(2,\)"),
        ({"gain": torch.ones(1, dtype=torch.int32)}, "gain must be torch.float32, not torch.int32"),
        ({"calls": torch.ones(())}, "calls must be torch.int64, not torch.float32"),
        ({"generator": torch.zeros(5056, dtype=torch.uint8)}, "generator is not the state of a random generator"),
        ({"generator": torch.zeros(5056, dtype=torch.int64)}, "generator is not the state of a random generator"),
        ({f"x{i}": torch.ones(1) for i in range(7)}, "x4 is unknown and 2 more"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: dict[str, Tensor | None], message: str) -> None:
    layer = Scale()
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    state = {name: tensor + 1 if name != "generator" else tensor for name, tensor in before.items()} | change
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(CheckpointError, match=message):
        layer.load_state_dict(state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())
