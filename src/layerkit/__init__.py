"""layerkit: deep learning with hand-written gradients, where layers are plugins and networks are JSON.

The public names stand in ``__init__.pyi``. Each is imported when it is first used, so that ``import layerkit`` loads
neither torch nor any plugin.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
