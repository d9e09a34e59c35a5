"""Learned keypoints, the whole way: synthetic shapes, training, homographic adaptation, evaluation, matching.

The public names stand in `__init__.pyi`. Each is imported when it is first used, so that `magicpoint --help` need not
wait for torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, _list_public, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __dir__() -> list[str]:
    return [*_list_public(), "__version__"]
