"""Inputs of a wrong kind get a sentence, and not torch's own error."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from layerkit import MSE, Conv2d, Masked, Module, ReLU, Sequential, ShapeError, StateError, TensorError, UserError
from layerkit.builtin.layers import AvgPool2d, Linear, MaxPool2d, Repeat, Residual
from layerkit.contracts.misfit import misfit

X = torch.rand(2, 3, 8, 8)
FLOAT32 = (
    "expected a tensor of torch.float32, as its parameters are, not of {}; convert it with x.to\\(torch.float32\\)"
)
NUMPY = "expected a torch.Tensor, not a numpy array; convert it with torch.from_numpy"


def convolution() -> Conv2d:
    return Conv2d(3, 3, 3, padding=1)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float16, torch.float64])
@pytest.mark.parametrize(
    "layer",
    [convolution, lambda: Conv2d(16, 16, 3), lambda: Conv2d(16, 3, 3), lambda: Conv2d(3, 3, 1), lambda: Linear(6, 2)],
)
def test_a_dtype_that_the_parameters_do_not_have(layer, dtype, mode):
    layer = layer().train(mode)
    x = torch.ones(2, layer.in_channels, 8, 8) if isinstance(layer, Conv2d) else torch.ones(2, 6)
    with pytest.raises(TensorError, match=f"^{type(layer).__name__}: {FLOAT32.format(dtype)}$") as caught:
        layer(x.to(dtype))
    assert isinstance(caught.value, UserError | TypeError)
    with pytest.raises(StateError, match="backward before forward"):
        layer.backward(x)


def test_a_device_that_the_parameters_are_not_on():
    with pytest.raises(
        TensorError, match=r'Conv2d: expected a tensor on cpu, .* not on meta; move it with x.to\("cpu"\)'
    ):
        convolution()(X.to("meta"))


@pytest.mark.parametrize("layer", [convolution(), ReLU(), MaxPool2d(2), AvgPool2d(2), Residual(ReLU())])
def test_what_is_no_tensor(layer):
    with pytest.raises(TensorError, match=NUMPY):
        layer(X.numpy())
    with pytest.raises(TensorError, match=r": expected a torch.Tensor, not list; convert it with torch.tensor"):
        layer([1.0])


def test_what_a_layer_without_parameters_cannot_compute_with():
    with pytest.raises(
        TensorError, match=r"AvgPool2d: expected a tensor of floats, not of torch.int64; convert it with x.fl"
    ):
        AvgPool2d(2)(torch.ones(1, 1, 4, 4, dtype=torch.int64))


def test_the_place_in_a_network_is_told():
    network = Sequential(ReLU(), Repeat(convolution(), convolution(), times=2), Residual(Sequential(convolution())))
    with pytest.raises(TensorError, match=r"^layers\[1\].layers\[0\]: Conv2d: expected a tensor of torch.float32"):
        network(X.double())
    network[1].layers[1].to(dtype=torch.float64)
    with pytest.raises(
        TensorError, match=r"^layers\[1\].layers\[0\]: in copy 2 of 2: Conv2d: expected .*float64, as its"
    ):
        network(X)


@pytest.mark.parametrize("loss", [MSE(), Masked(MSE())])
def test_losses_take_floats_alone(loss):
    for pair in ((X, (255 * X).byte()), (X.int(), X)):
        with pytest.raises(
            TensorError, match=r"expected a tensor of floats, not of torch.\w+; convert it with x.float"
        ):
            loss(*pair)
    with pytest.raises(TensorError, match=NUMPY):
        loss(X, X.numpy())
    with pytest.raises(TensorError, match="its inputs are on cpu and meta; move them to one device"):
        loss(X, X.to("meta"))


def test_gradients_of_a_wrong_kind():
    network = Sequential(convolution())
    y = network(X)
    with pytest.raises(TensorError, match=f"Sequential: {NUMPY}"):
        network.backward(y.numpy())
    with pytest.raises(
        ShapeError, match=r"the gradient must be .* torch.float32 like the output of forward, not .*float64"
    ):
        network.backward(y.double())
    network.backward(y)


class Broken(Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("something else")

    def backward(self, grad_output: Tensor) -> Tensor:
        raise NotImplementedError


def test_an_error_for_another_reason_stays_as_it_is():
    with pytest.raises(RuntimeError, match="something else"):
        Broken()(X)
    with pytest.raises(ShapeError, match=r"Conv2d: expected an input of \(N, 3, H, W\), not \(3, 8, 8\)"):
        convolution()(X[0].double())
    assert misfit("Layer", [X, X], X) is None


def test_nothing_is_looked_at_before_torch_has_failed(monkeypatch):
    monkeypatch.setattr("layerkit.contracts.differentiable.misfit", lambda *_: pytest.fail("looked"))
    layer = convolution()
    layer.backward(layer(X))
