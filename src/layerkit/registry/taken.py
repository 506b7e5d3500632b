"""Names that a new package must not have because it would shadow another, as far as that is known offline."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

from packaging.utils import canonicalize_name

_NAMES = """
accelerate albumentations anyio attrs beautifulsoup4 black boto3 bs4 captum catboost click cupy cython dash dask
datasets detectron2 diffusers django einops fastai fastapi flask flax gym gymnasium h5py huggingface-hub imageio
ipython jax jaxlib joblib jupyter keras kornia lightgbm lightning mlflow monai mxnet nltk notebook numba numpy onnx
onnxruntime openai opencv-python optax optuna orjson pandas peft pillow plotly poetry polars pyarrow pydantic pyro
pytest python-dateutil pytorch pytorch-lightning pyyaml ray requests rich ruff safetensors scikit-image scikit-learn
scipy seaborn selenium sentence-transformers setuptools six skimage sklearn spacy sqlalchemy statsmodels streamlit
sympy tensorboard tensorboardx tensorflow theano timm tokenizers torch torchaudio torchinfo torchmetrics torchvision
tornado tqdm transformers triton typer urllib3 uvicorn wandb wheel xformers xgboost yaml
"""
WELL_KNOWN = frozenset(_NAMES.split())
"""Packages on the Python Package Index, and what some of them are imported as."""


def why_taken(name: str) -> str:
    """Return why a name is taken, as a part of a sentence; "" if it is not known to be taken. Nothing is imported.

    Args:
        name: the name of a distribution; its package has ``_`` in place of each ``-``.
    """
    package, canonical = name.replace("-", "_"), canonicalize_name(name)
    if package in sys.stdlib_module_names:
        return "it is a module of Python itself"
    if any(canonicalize_name(found) == canonical for found in _installed()):
        return f"the package {canonical} is installed here"
    if importlib.util.find_spec(package) is not None:
        return f"{package} can be imported here"
    if canonical in WELL_KNOWN:
        return "it is a well-known package on the Python Package Index"
    return ""


def _installed() -> list[str]:
    """Return the names of the installed distributions, except those with damaged metadata."""
    return [name for found in importlib.metadata.distributions() if (name := found.metadata["Name"])]
