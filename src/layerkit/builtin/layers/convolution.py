"""The base classes of the three convolutions: channels, kernel, the weight's memory order, and both passes."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Unpack

from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.direct import Direct
from layerkit.arithmetic.implicit import ImplicitProducts
from layerkit.arithmetic.way import KernelLayer, Way
from layerkit.arithmetic.windows import Pair, check_pictures, picture_size
from layerkit.builtin.layers.initialization import Start, xavier_normal
from layerkit.contracts.fields import Channels, Kernel, pair
from layerkit.contracts.specs import LayerSpec, Shape


class ConvolutionSpec(LayerSpec):
    """The fields that all convolutions have, and the cost of a convolution."""

    out_channels: Channels = Field(description="Channels of the output.")
    kernel_size: Kernel = Field(description="Height and width of the kernel: one number, or [height, width].")
    bias: bool = Field(default=True, description="Whether a learned number is added to each output channel.")

    gain: float = Field(
        default=1.0, ge=0, le=100, description="A factor for the initial weights; below 1 at the end of a residual."
    )

    def parameter_count(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        return self.out_channels * (input_shape[0] * kh * kw + self.bias)

    def multiply_adds(self, input_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        out_channels, rows, columns = self.output_shape(input_shape)
        return out_channels * rows * columns * input_shape[0] * kh * kw

    def arguments(self, input_shape: Shape) -> dict[str, Any]:
        """Return the arguments of the layer by name, which are those of its torch namesake."""
        return {"in_channels": input_shape[0], **self.model_dump(exclude={"type", "gain"})}


class Convolution(KernelLayer):
    """A convolution of pictures, computed by one of the ways in :mod:`layerkit.arithmetic`.

    Sizes such as ``kernel_size`` are a number or (vertical, horizontal).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: the size of the kernel.

    Attributes:
        weight: (out_channels, in_channels, kh, kw) unless a subclass says otherwise, Xavier-normal at first.
        bias: (out_channels,), zero at first; None for a layer without a bias.
    """

    weight_dims: ClassVar[tuple[int, int, int, int]] = (0, 1, 2, 3)
    """The index in (out_channels, in_channels, kh, kw) of each dimension of the weight."""

    def __init__(self, in_channels: Channels, out_channels: Channels, kernel_size: int | Pair) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, pair(kernel_size)

    def compute_by(
        self,
        way: Way,
        bias: bool,
        gain: float,
        direct: Direct | None = None,
        implicit: ImplicitProducts | None = None,
        **start: Unpack[Start],
    ) -> None:
        """Set the way in which the layer is computed, and make its parameters in the memory order of that way.

        A subclass calls it at the end of ``__init__``.

        Args:
            way: the way of computing this layer.
            bias: whether a learned number is added to each output channel.
            gain: a factor for the initial weights.
            direct: the way that is used in evaluation mode, where it suits.
            implicit: the way that is used in place of ``way``, where it suits.
            start: see :class:`~layerkit.builtin.layers.initialization.Start`.
        """
        self._way, self._direct, self._implicit = way, direct, implicit
        self._taken = way  # by the last forward that may have a backward
        self._order = tuple(self.weight_dims.index(dim) for dim in way.memory_order)
        kh, kw = self.kernel_size
        sizes = self.out_channels, self.in_channels, kh, kw
        shape = tuple(sizes[dim] for dim in self.weight_dims)
        taps = kh * kw
        weight = xavier_normal(
            shape, self.in_channels * taps, self.out_channels * taps, self._order, gain=gain, **start
        )
        self.add_parameter("weight", weight)
        self.bias = None
        if bias:
            self.add_parameter("bias", weight.new_zeros(self.out_channels))

    @abstractmethod
    def output_size(self, size: Pair) -> Pair:
        """Return (height, width) of the output for an input of ``size``.

        Raises:
            ShapeError: when the input does not fit.
        """

    def in_memory(self, weight: Tensor) -> Tensor:
        return weight.permute(self._order)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for x (N, in_channels, H, W).

        Raises:
            ShapeError: when x has another number of dimensions or channels, or is too small.
        """
        return self._forward(x, rectified=False)

    def rectified(self, x: Tensor) -> Tensor:
        """Return max(0, y) for the output y of :meth:`forward`, in evaluation mode, without storing y.

        Raises:
            ShapeError: as :meth:`forward` does.
        """
        return self._forward(x, rectified=True)

    def _forward(self, x: Tensor, rectified: bool) -> Tensor:
        check_pictures(x, self.in_channels, type(self).__name__)
        size = self.output_size(picture_size(x))
        if self._direct is not None and not self.training and self._direct.suits(x):
            return self._direct.forward(x, size, rectified)
        way = self._way_for(x)
        if self.training:  # evaluation, in any number of threads, changes nothing
            self._taken = way
        y = way.forward(x, size)
        return y.clamp_(min=0) if rectified else y

    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to ``weight_grad`` and ``bias_grad``; return (N, in_channels, H, W), or None if it is not needed."""
        return self._taken.backward(grad_output)

    def _way_for(self, x: Tensor) -> Way:
        """Return the way for pictures of this device and dtype, at the precision that is set now."""
        implicit = self._implicit
        return implicit if implicit is not None and implicit.suits(x) else self._way
