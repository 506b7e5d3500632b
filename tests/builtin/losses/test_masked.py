from __future__ import annotations

import copy
import json
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from layerkit import L1, MSE, Huber, Loss, LossSpec, Masked, ShapeError, StateError
from layerkit.builtin.losses.masked import MaskedSpec
from layerkit.contracts.workspace import Workspace
from layerkit.registry.catalogue import installed

TORCHS = {
    MSE: torch.nn.functional.mse_loss,
    L1: torch.nn.functional.l1_loss,
    Huber: torch.nn.functional.huber_loss,
}


def example(shape: tuple[int, ...], seed: int, missing: float = 0.5, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.randn(2, *shape, dtype=dtype, generator=generator)
    target[torch.rand(shape, generator=generator) < missing] = torch.nan
    return prediction, target


@settings(deadline=None, max_examples=60)
@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    kind=st.sampled_from([*TORCHS]),
    missing=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_torchs_sum_over_the_known_by_the_number_of_all(shape, dtype, kind, missing, seed):
    prediction, target = example(shape, seed, missing, dtype)
    leaf, known = prediction.clone().requires_grad_(), ~target.isnan()
    expected = TORCHS[kind](leaf[known], target[known], reduction="sum") / max(known.numel(), 1)
    expected.backward()
    loss = Masked(kind())
    value = loss(prediction, target)
    assert value.shape == () and value.dtype == dtype
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(loss.backward(), leaf.grad)


def test_without_unknown_targets_it_is_the_other_loss():
    prediction, target = example((3, 4), 0, missing=0)
    loss, other = Masked(Huber(0.1)), Huber(0.1)
    assert loss(prediction, target) == other(prediction, target)
    assert torch.equal(loss.backward(), other.backward())


def test_what_is_predicted_for_unknown_targets_does_not_matter():
    prediction, target = example((3, 4), 0)
    loss = Masked(MSE())
    value, gradient = loss(prediction, target), loss.backward()
    prediction[target.isnan()] = torch.inf
    assert loss(prediction, target) == value
    assert torch.equal(loss.backward(), gradient)


def test_a_known_target_of_a_prediction_that_is_no_number_is_told():
    prediction, target = example((3, 4), 0)
    prediction[~target.isnan()] = torch.nan
    assert Masked(MSE())(prediction, target).isnan()


def test_the_other_loss_knows_how_far_the_training_is():
    loss = Masked(Masked(MSE()))
    loss.progress = 0.75
    loss(*example((2, 3), 0))
    assert loss.loss.progress == loss.loss.loss.progress == 0.75


def test_with_nothing_kept_there_is_no_backward():
    loss = Masked(MSE())
    with pytest.raises(StateError, match="Masked: backward before forward"):
        loss.backward()
    loss(*example((2, 3), 0))
    loss.forget()
    for its in (loss, loss.loss):
        with pytest.raises(StateError, match="backward before forward"):
            its.backward()


def test_it_and_the_other_loss_are_in_one_mode():
    loss = Masked(Masked(MSE()))
    loss(*example((2, 3), 0))
    loss.training = False
    assert not loss.training and not loss.loss.loss.training
    for its in (loss, loss.loss, loss.loss.loss):
        with pytest.raises(StateError, match="backward before forward"):
            its.backward()


def test_a_copy_is_its_own():
    loss = Masked(MSE())
    prediction, target = example((2, 3), 0)
    loss(prediction, target)
    other = copy.deepcopy(loss)
    other(*example((4, 5), 1))
    assert loss.backward().shape == (2, 3)


def test_in_lent_memory_steps_with_other_numbers_of_known_targets_are_right():
    loss = Masked(L1())
    workspace = Workspace([loss])
    for seed, missing in enumerate((0.5, 0.0, 1.0, 0.9)):
        pair = example((3, 4), seed, missing)
        fresh = Masked(L1())
        with workspace:
            assert loss(*pair) == fresh(*pair)
            assert torch.equal(loss.backward(), fresh.backward())


def test_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"Masked: prediction \(2, 3\) and target \(3,\) must have the same shape"):
        Masked(MSE())(torch.zeros(2, 3), torch.zeros(3))


# The spec


class RootSpec(LossSpec):
    """A stranger's loss, whose values go together."""

    type: Literal["root"] = Field(description="The name.")
    elementwise = False

    def build(self) -> Loss:
        raise NotImplementedError


def test_a_loss_that_is_no_mean_over_single_values_is_refused():
    with pytest.raises(ValidationError, match=r'the loss "root" is not a mean over single values.* such as "mse"'):
        MaskedSpec(type="masked", loss=RootSpec(type="root"))


@pytest.mark.parametrize(("inner", "kinked"), [({"type": "mse"}, False), ({"type": "l1"}, True)])
def test_what_the_other_loss_declares_holds_for_it(inner, kinked):
    text = json.dumps({"type": "masked", "loss": {"type": "masked", "loss": inner}})
    spec = MaskedSpec.model_validate_json(text, context=installed())
    assert spec.kinked is kinked
    assert spec.domain is None
    assert spec.reference() == spec.loss.loss.reference()
    assert spec.takes_masked and spec.elementwise
