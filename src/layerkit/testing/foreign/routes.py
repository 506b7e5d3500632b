"""Ways of asking a function for its gradients, each of which must give the same as the straight one.

A route takes ``call``, which returns a list of output tensors, its inputs and the gradients of the outputs (None for an
output that is not used), and returns a gradient, or None, for each input that needs one. Where there is nothing to
compare it returns None; what it sees to be wrong itself it raises as an AssertionError.

Only torch is used, because a script that reproduces a failure has the very text of these functions in it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from layerkit.testing.instruments.observation import empty_memory_is_nan

Call = Callable[..., list[Tensor]]
Inputs = list[Any]
Cotangents = list[Any]
Gradients = list[Any]
Route = Callable[[Call, Inputs, Cotangents], Gradients | None]


def gradients_of(outputs: list[Tensor], inputs: Inputs, cotangents: Cotangents, **options: Any) -> Gradients:
    """Return the gradients of the inputs that need one."""
    used = [(output, cotangent) for output, cotangent in zip(outputs, cotangents, strict=True) if cotangent is not None]
    needing = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not any(output.requires_grad for output, _ in used):
        raise AssertionError("no output requires a gradient, although an input does: the graph is cut in forward")
    used = [(output, cotangent) for output, cotangent in used if output.requires_grad]
    return list(torch.autograd.grad([o for o, _ in used], needing, [c for _, c in used], allow_unused=True, **options))


def straight(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """One forward, one backward."""
    return gradients_of(call(*inputs), inputs, cotangents)


def watching_inputs(call: Call, inputs: Inputs, cotangents: Cotangents) -> None:
    """Neither forward nor backward writes into an input, unless forward marks it dirty."""
    before = [x.detach().clone() if isinstance(x, Tensor) else x for x in inputs]

    def unchanged(who: str) -> None:
        for index, (x, value) in enumerate(zip(inputs, before, strict=True)):
            if isinstance(x, Tensor) and not torch.equal(torch.nan_to_num(x.detach()), torch.nan_to_num(value)):
                raise AssertionError(f"{who} has changed input {index}")

    outputs = call(*inputs)
    unchanged("forward")
    gradients_of(outputs, inputs, cotangents)
    unchanged("backward")


def watching_gradients(call: Call, inputs: Inputs, cotangents: Cotangents) -> None:
    """Backward does not write into the gradients that it is given: other functions may be given the same."""
    before = [None if c is None else c.clone() for c in cotangents]
    gradients_of(call(*inputs), inputs, cotangents)
    for index, (cotangent, value) in enumerate(zip(cotangents, before, strict=True)):
        if value is not None and not torch.equal(cotangent, value):
            raise AssertionError(f"backward has changed the gradient that it was given for output {index}")


def with_other_values(inputs: Inputs) -> Inputs:
    """Return inputs of the same shapes with other values, which are as likely as the first ones to be valid."""
    return [
        (0.9 * x.detach().flip(tuple(range(x.dim())))).requires_grad_(x.requires_grad)
        if isinstance(x, Tensor) and x.is_floating_point()
        else x
        for x in inputs
    ]


def after_another_call(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """Another call, with its own backward, comes between forward and backward."""
    others = with_other_values(inputs)
    outputs = call(*inputs)
    gradients_of(call(*others), others, cotangents)
    return gradients_of(outputs, inputs, cotangents)


def after_a_call_without_gradients(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """A call under no_grad, as in evaluation, comes between forward and backward."""
    outputs = call(*inputs)
    with torch.no_grad():
        call(*with_other_values(inputs))
    return gradients_of(outputs, inputs, cotangents)


def in_the_order_of_the_calls(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """Two calls, and then their backwards in the order of the calls: the second is asked for."""
    others = with_other_values(inputs)
    first, outputs = call(*others), call(*inputs)
    gradients_of(first, others, cotangents)
    return gradients_of(outputs, inputs, cotangents)


def after_a_call_of_another_size(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients | None:
    """A call with a batch twice as large comes between, where forward takes it."""
    tensors = [x for x in inputs if isinstance(x, Tensor) and x.dim()]
    others = [
        torch.cat([x, x]) if isinstance(x, Tensor) and x.dim() and len(x) == len(tensors[0]) else x for x in inputs
    ]
    outputs = call(*inputs)
    try:
        call(*others)
    except Exception:
        return None
    return gradients_of(outputs, inputs, cotangents)


def before_another_call(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """A later call writes neither into the outputs nor into the gradients of an earlier one."""
    others = with_other_values(inputs)
    outputs = call(*inputs)
    gradients = gradients_of(outputs, inputs, cotangents)
    values = [output.detach().clone() for output in outputs]
    gradients_of(call(*others), others, cotangents)
    for index, (output, value) in enumerate(zip(outputs, values, strict=True)):
        if not torch.equal(torch.nan_to_num(output.detach()), torch.nan_to_num(value)):
            raise AssertionError(f"a later call has changed output {index} of an earlier one")
    return gradients


def settings_of_torch() -> dict[str, Any]:
    """Return what belongs to the whole process, and no function may change."""
    return {
        "the default dtype": torch.get_default_dtype(),
        "the number of threads": torch.get_num_threads(),
        "the gradient mode": torch.is_grad_enabled(),
        "the deterministic mode": torch.get_deterministic_debug_mode(),
        "autocast": torch.is_autocast_enabled("cpu"),
    }


def watching_settings(call: Call, inputs: Inputs, cotangents: Cotangents) -> None:
    """Forward and backward change no setting of torch, or put it back."""
    before = settings_of_torch()
    try:
        gradients_of(call(*inputs), inputs, cotangents)
        for name, value in settings_of_torch().items():
            if value != before[name]:
                raise AssertionError(f"{name} of torch is {value} after a call, and was {before[name]}")
    finally:
        torch.set_default_dtype(before["the default dtype"])
        torch.set_num_threads(before["the number of threads"])
        torch.set_grad_enabled(before["the gradient mode"])


def second_backward(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients | None:
    """A second backward of one forward, with retain_graph=True, gives the same; an error is allowed."""
    outputs = call(*inputs)
    gradients_of(outputs, inputs, cotangents, retain_graph=True)
    try:
        return gradients_of(outputs, inputs, cotangents)
    except Exception:
        return None


NOTICED = "inplace"
"""What torch's error has in it where a tensor that it keeps is another at backward."""


def after_the_inputs_changed(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients | None:
    """Inputs that are changed in place between forward and backward are noticed, or do not matter."""
    held = [x.clone() if isinstance(x, Tensor) else x for x in inputs]
    outputs = call(*held)
    with torch.no_grad():
        for x in held:
            if isinstance(x, Tensor):
                x.zero_()
    return _unless_noticed(outputs, inputs, cotangents)


def after_the_outputs_changed(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients | None:
    """Outputs that are changed in place between forward and backward are noticed, or do not matter."""
    outputs = call(*inputs)
    with torch.no_grad():
        for output in outputs:
            try:
                output.zero_()
            except RuntimeError:  # a view of many, or expanded: torch does not let anyone change it
                return None
    return _unless_noticed(outputs, inputs, cotangents)


def _unless_noticed(outputs: list[Tensor], inputs: Inputs, cotangents: Cotangents) -> Gradients | None:
    """Return the gradients, or None where torch notices that a tensor is another than forward kept."""
    try:
        return gradients_of(outputs, inputs, cotangents)
    except RuntimeError as error:
        if NOTICED in str(error):
            return None
        raise


def in_uninitialized_memory(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """No gradient depends on what uninitialized memory holds: it is filled with NaN."""
    with empty_memory_is_nan(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of operations whose order of sums is open
        return straight(call, inputs, cotangents)


def without_a_leak(call: Call, inputs: Inputs, cotangents: Cotangents) -> None:
    """What forward returned is freed at once with the last reference to it: no cycle through ctx keeps it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        outputs = call(*inputs)
        given = {id(x) for x in inputs}
        held = [weakref.ref(output) for output in outputs if id(output) not in given]
        gradients_of(outputs, inputs, cotangents)
        del outputs
        if any(output() is not None for output in held):
            gc.collect()
            # What is still there is kept on purpose, as in a cache.
            if any(output() is None for output in held):
                raise AssertionError("an output is kept until the garbage collector runs: it holds itself, through ctx")
    finally:
        if collects:
            gc.enable()


def of_zeros(call: Call, inputs: Inputs, cotangents: Cotangents) -> None:
    """Gradients of zero give gradients of exactly zero."""
    zeros = [None if c is None else torch.zeros_like(c) for c in cotangents]
    for index, gradient in enumerate(straight(call, inputs, zeros)):
        if gradient is not None and bool((gradient != 0).any()):
            raise AssertionError(f"a gradient of zeros gives gradient {index} that is not exactly zero")


def of_two_parts(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """Backward is linear: the gradients of two parts of a gradient add up to that of the whole."""
    part = [None if c is None else c.flip(tuple(range(c.dim()))) for c in cotangents]
    rest = [None if c is None else c - p for c, p in zip(cotangents, part, strict=True)]
    first, second = straight(call, inputs, part), straight(call, inputs, rest)
    return [b if a is None else a if b is None else a + b for a, b in zip(first, second, strict=True)]


def of_tiny_gradients(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """Gradients of 1e-9 times the size give 1e-9 times the gradients: nothing is flushed to zero."""
    return scaled(call, inputs, cotangents, 1e-9)


def of_huge_gradients(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """Gradients of 1e9 times the size give 1e9 times the gradients: nothing is cut off."""
    return scaled(call, inputs, cotangents, 1e9)


def scaled(call: Call, inputs: Inputs, cotangents: Cotangents, factor: float) -> Gradients:
    """Send back multiples of the gradients, and divide what comes out."""
    multiples = [None if c is None else factor * c for c in cotangents]
    return [None if g is None else g / factor for g in straight(call, inputs, multiples)]


def under_autocast(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """Forward under autocast to bfloat16, backward outside, as torch advises."""
    with torch.autocast("cpu", torch.bfloat16):
        outputs = call(*inputs)
    return gradients_of(outputs, inputs, cotangents)


def wholly_under_autocast(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """Forward and backward under autocast to bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        outputs = call(*inputs)
        return gradients_of(outputs, inputs, cotangents)


def in_a_library(file: str) -> bool:
    """Return whether code is Python's or torch's own, whose lines may hold locks of theirs."""
    torchs, pythons = (os.path.dirname(str(module.__file__)) + os.sep for module in (torch, os))
    return file.startswith((torchs, "<frozen")) or (file.startswith(pythons) and "site-packages" not in file)


MOST_CALLS = 60
"""So many calls of another thread come between the lines of one."""


def beside_another_thread(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """Another thread makes a whole call of its own between any two lines of this one's."""
    others, waiting, left = with_other_values(inputs), [], MOST_CALLS

    def elsewhere() -> None:
        with contextlib.suppress(Exception):  # what goes wrong there goes wrong in other routes too
            straight(call, others, cotangents)

    def each_line(frame: Any, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line" and left > 0:
            left -= 1
            waiting.append(threading.Thread(target=elsewhere))
            waiting[-1].start()
            waiting[-1].join(1.0)
            if waiting[-1].is_alive():  # it waits for a lock that this one holds, and so is safe
                left = 0
        return each_line

    def each_call(frame: Any, event: str, argument: Any) -> Any:
        return None if in_a_library(frame.f_code.co_filename) else each_line

    before = sys.gettrace()
    sys.settrace(each_call)
    try:
        return straight(call, inputs, cotangents)
    finally:
        sys.settrace(before)
        for thread in waiting:
            thread.join()


def compiled(call: Call, inputs: Inputs, cotangents: Cotangents) -> Gradients:
    """Under torch.compile the gradients are the same."""
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return straight(torch.compile(call, backend="aot_eager"), inputs, cotangents)
