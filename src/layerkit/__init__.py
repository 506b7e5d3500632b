"""layerkit: deep learning with hand-written gradients, where layers are plugins and networks are JSON.

The public names stand in ``__init__.pyi``: ``layerkit.layers``, ``losses``, ``noises``, ``optimizers`` and
``schedules`` have every built-in component with its spec, ``layerkit.contracts`` what the author of a plugin needs, and
``layerkit.testing`` the conformance kit. Each name is imported when it is first used, so that ``import layerkit`` loads
neither torch nor any plugin.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
