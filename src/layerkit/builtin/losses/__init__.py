"""The losses that come with layerkit, one per file; importing a file's classes here registers them."""

from layerkit.builtin.losses.annealed_l0 import AnnealedL0 as AnnealedL0, AnnealedL0Spec as AnnealedL0Spec
from layerkit.builtin.losses.huber import Huber as Huber, HuberSpec as HuberSpec
from layerkit.builtin.losses.l1 import L1 as L1, L1Spec as L1Spec
from layerkit.builtin.losses.masked import Masked as Masked, MaskedSpec as MaskedSpec
from layerkit.builtin.losses.mse import MSE as MSE, MSESpec as MSESpec
