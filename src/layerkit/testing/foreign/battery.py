"""What must hold of any function with gradients of its own, and the cases that it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from layerkit.testing.foreign import routes
from layerkit.testing.foreign.cases import Case
from layerkit.testing.foreign.judging import agreement, differences, inputs_are_kept, oracle_agrees, settings_are_kept
from layerkit.testing.foreign.routes import Route
from layerkit.testing.foreign.trial import Trial, Variation
from layerkit.testing.instruments.layouts import layouts_of

LARGE = 131
"""A size beyond the blocks of most kernels."""

Tries = Iterator[tuple[Case, Variation]]


@dataclass(frozen=True)
class ForeignCheck:
    """One statement about a function.

    Attributes:
        name: by which it is reported.
        statement: what must hold.
        hint: the usual mistake, for failures that nothing else is known of.
        tries: yields the cases and the ways in which they are looked at; raises NotApplicable where there is nothing.
        look: raises CheckFailed where the statement is wrong.
    """

    name: str
    statement: str
    hint: str
    tries: Callable[[Trial], Tries]
    look: Callable[[Trial, Case, Variation], None] = agreement


def _of_the_numbers(trial: Trial) -> Tries:
    for case in trial.learned.cases:
        if not case.sizes:
            yield case, Variation()


def _of_the_sizes(trial: Trial) -> Tries:
    for case in trial.learned.cases:
        if case.sizes:
            yield case, Variation()


def _some_gradients(trial: Trial) -> Tries:
    needing = trial.inputs.needing
    if len(needing) > 1:
        for case in trial.learned.cases[:1]:
            for index in needing:
                yield case, Variation(needing=(index,))
                yield case, Variation(needing=tuple(other for other in needing if other != index))


def _some_outputs(trial: Trial) -> Tries:
    case = trial.learned.cases[0]
    outputs = len(trial.prepared(case, Variation()).cotangents)
    if outputs > 1:
        for index in range(outputs):
            yield case, Variation(used=(index,))


def _input_layouts(trial: Trial) -> Tries:
    if trial.learned.stochastic:  # what is drawn for each value may follow the layout
        return
    for case in trial.learned.cases[:1]:
        for index, value in enumerate(trial.inputs.values(case)):
            if isinstance(value, torch.Tensor) and value.numel() > 1:
                for layout in layouts_of(value):
                    yield case, Variation(layouts={index: layout})


def _gradient_layouts(trial: Trial) -> Tries:
    for case in trial.learned.cases[:1]:
        for index, cotangent in enumerate(trial.prepared(case, Variation()).cotangents):
            if cotangent is not None and cotangent.numel() > 1:
                for layout in layouts_of(cotangent):
                    yield case, Variation(gradient_layouts={index: layout})


def _by(*ways: Route, state: bool = True, same_numbers: bool = True) -> Callable[[Trial], Tries]:
    """Return tries that go other ways.

    Args:
        ways: the routes.
        state: whether an object whose backward belongs to its last forward can go them.
        same_numbers: whether one that draws random numbers can.
    """

    def tries(trial: Trial) -> Tries:
        if (state or not trial.target.remembers) and (same_numbers or not trial.learned.stochastic):
            for way in ways:
                yield trial.learned.cases[0], Variation(route=way)

    return tries


def _lower_dtypes(trial: Trial) -> Tries:
    if not trial.learned.stochastic:  # other numbers are drawn for another dtype
        for dtype in trial.learned.dtypes:
            for case in trial.learned.cases:
                if (case.seed <= 1 and case.constant is None) or set(dict(case.sizes).values()) & {0, 1, LARGE}:
                    yield case, Variation(dtype=dtype)


def _autocast(trial: Trial) -> Tries:
    if trial.learned.autocast and not trial.learned.stochastic:
        for way in (routes.under_autocast, routes.wholly_under_autocast):
            yield trial.learned.cases[0], Variation(route=way, dtype=torch.float32)


def _threads(trial: Trial) -> Tries:
    # The parameters of a module are put into it for a call, which two threads cannot do at once.
    if trial.target.kind != "module":
        yield from _by(routes.beside_another_thread, state=False, same_numbers=False)(trial)


def _compiled(trial: Trial) -> Tries:
    if trial.declaration.compiles:
        yield trial.learned.cases[0], Variation(route=routes.compiled)


def _oracle(trial: Trial) -> Tries:
    if trial.declaration.oracle is not None:
        for case in trial.learned.cases:
            yield case, Variation()


FOREIGN_BATTERY: tuple[ForeignCheck, ...] = (
    ForeignCheck(
        "settings_untouched",
        "Forward and backward change no setting of torch, such as the default dtype, or put it back.",
        "a setting is changed and not put back: it belongs to the whole process",
        _by(routes.watching_settings),
        settings_are_kept,
    ),
    ForeignCheck(
        "gradients",
        "The gradient of each input is the central difference of forward, for the example's values and others.",
        "the formula of backward is wrong",
        _of_the_numbers,
        differences,
    ),
    ForeignCheck(
        "sizes",
        "Gradients are right for sizes of 0, 1 and others, wherever forward takes them.",
        "something in backward holds for the size of the example alone",
        _of_the_sizes,
        differences,
    ),
    ForeignCheck(
        "oracle",
        "Outputs and gradients are those of the oracle that is declared.",
        "",
        _oracle,
        oracle_agrees,
    ),
    ForeignCheck(
        "partial_gradients",
        "Where only some inputs need a gradient, these get the same ones.",
        "ctx.needs_input_grad is read for the wrong input, or what one gradient needs is only saved for another",
        _some_gradients,
    ),
    ForeignCheck(
        "unused_outputs",
        "Where only some outputs are used, the gradients are those for zeros at the others.",
        "the gradient of an output that nobody used is None, or zeros",
        _some_outputs,
    ),
    ForeignCheck(
        "input_layouts",
        "A transposed, strided, sliced, expanded or channels-last input gives what a contiguous one gives.",
        "memory is read as if it were contiguous, or written where strides are zero",
        _input_layouts,
    ),
    ForeignCheck(
        "gradient_layouts",
        "A transposed, strided, sliced, expanded or channels-last gradient gives what a contiguous one gives.",
        "memory is read as if it were contiguous, or written where strides are zero, as sum() makes it",
        _gradient_layouts,
    ),
    ForeignCheck(
        "inputs_untouched",
        "Neither forward nor backward writes into an input, unless forward says so by mark_dirty.",
        "an operation in place, such as mul_ or one with out=, works on an input: work on a copy, or mark_dirty",
        _by(routes.watching_inputs),
        inputs_are_kept,
    ),
    ForeignCheck(
        "gradients_untouched",
        "Backward does not write into the gradients that it is given.",
        "an operation in place works on grad_output, which other functions are given too: work on a copy",
        _by(routes.watching_gradients),
    ),
    ForeignCheck(
        "calls_between",
        "Other calls, between forward and backward or after both, change nothing, whatever their size.",
        "something is kept on the class, the module or globally that belongs on ctx",
        _by(
            routes.after_another_call,
            routes.after_a_call_without_gradients,
            routes.in_the_order_of_the_calls,
            routes.after_a_call_of_another_size,
            routes.before_another_call,
            state=False,
        ),
    ),
    ForeignCheck(
        "second_backward",
        "A second backward of one forward gives the same, or raises.",
        "backward changes in place what forward has saved",
        _by(routes.second_backward),
    ),
    ForeignCheck(
        "inputs_changed_later",
        "An input that is changed in place after forward is noticed by torch, or does not matter.",
        "a tensor is kept as an attribute of ctx: ctx.save_for_backward would notice the change",
        lambda trial: _by(routes.after_the_inputs_changed)(trial) if trial.target.kind != "pair" else iter(()),
    ),
    ForeignCheck(
        "outputs_changed_later",
        "An output that is changed in place after forward is noticed by torch, or does not matter.",
        "an output is kept as an attribute of ctx: ctx.save_for_backward would notice the change",
        lambda trial: _by(routes.after_the_outputs_changed)(trial) if trial.target.kind != "pair" else iter(()),
    ),
    ForeignCheck(
        "no_leak",
        "An output is freed with the last reference to it.",
        "an output is kept as an attribute of ctx, and so keeps itself: use ctx.save_for_backward",
        _by(routes.without_a_leak),
    ),
    ForeignCheck(
        "uninitialized_memory",
        "No gradient depends on what torch.empty happens to hold.",
        "a part of what torch.empty returned is never written",
        _by(routes.in_uninitialized_memory, same_numbers=False),
    ),
    ForeignCheck(
        "linear",
        "Backward is linear in the gradient: zeros give zeros, parts add up, nothing is cut off or flushed to zero.",
        "backward depends on the sign or the size of the gradient, or adds something to it",
        _by(routes.of_zeros, routes.of_two_parts, routes.of_tiny_gradients, routes.of_huge_gradients),
    ),
    ForeignCheck(
        "lower_dtypes",
        "In float32, float16 and bfloat16, where forward takes them, gradients are right up to rounding.",
        "a constant, or a sum, is too small or too large for the dtype",
        _lower_dtypes,
    ),
    ForeignCheck(
        "autocast",
        "With forward under autocast, and backward under it or not, gradients are right up to rounding.",
        "saved tensors have another dtype than in backward: see torch.amp.custom_fwd and custom_bwd",
        _autocast,
    ),
    ForeignCheck(
        "threads",
        "Another thread's call at the same time changes nothing.",
        "something global, such as a buffer, is written in forward or backward",
        _threads,
    ),
    ForeignCheck(
        "compiled",
        "Under torch.compile gradients are the same.",
        "",
        _compiled,
    ),
)
"""In the order in which they are run and reported."""
