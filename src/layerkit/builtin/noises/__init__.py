"""The noises that come with layerkit, one per file; importing a file's classes here registers them."""

from layerkit.builtin.noises.bernoulli import Bernoulli as Bernoulli, BernoulliSpec as BernoulliSpec
from layerkit.builtin.noises.gaussian import Gaussian as Gaussian, GaussianSpec as GaussianSpec
from layerkit.builtin.noises.impulse import Impulse as Impulse, ImpulseSpec as ImpulseSpec
from layerkit.builtin.noises.pixelate import Pixelate as Pixelate, PixelateSpec as PixelateSpec
from layerkit.builtin.noises.poisson import Poisson as Poisson, PoissonSpec as PoissonSpec
from layerkit.builtin.noises.text import Text as Text, TextSpec as TextSpec
