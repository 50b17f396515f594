"""BasicSR (github.com/XPixelGroup/BasicSR), the extra ``basicsr``: the one place that knows how to import it.

Its last release, 1.4.2 of 2022, imports ``torchvision.transforms.functional_tensor``, which torchvision 0.17 removed, for
one function that lives on elsewhere; a module of that name stands in while basicsr is imported.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from srbench.errors import UnavailableError

if TYPE_CHECKING:
    from torch import nn

_REMOVED = "torchvision.transforms.functional_tensor"
_INSTALL = "pip install --no-build-isolation 'srbench[basicsr]'"


def import_basicsr(module: str = "basicsr") -> ModuleType:
    """A module of basicsr, such as ``basicsr.metrics`` (``calculate_psnr``, ``calculate_ssim``),
    ``basicsr.utils.matlab_functions`` (``imresize``) or ``basicsr.data.paired_image_dataset``.

    Raises:
        UnavailableError: basicsr is not installed or does not import, with the way to install it.
    """
    with _stand_in(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(module)
        except ImportError as error:
            reason = f"{module} does not import ({error}); install it after torch: {_INSTALL}"
            raise UnavailableError("unavailable", reason) from None


@contextlib.contextmanager
def _stand_in() -> Iterator[None]:
    """The module that torchvision removed, for as long as an import takes and only where it is missing."""
    try:
        importlib.import_module(_REMOVED)
    except ImportError:
        pass
    else:
        yield
        return
    try:
        functional = importlib.import_module("torchvision.transforms.functional")
    except ImportError:
        yield
        return
    module = ModuleType(_REMOVED)
    vars(module)["rgb_to_grayscale"] = functional.rgb_to_grayscale
    sys.modules[_REMOVED] = module
    try:
        yield
    finally:
        sys.modules.pop(_REMOVED, None)


_ARCHITECTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "edsr_baseline": ("edsr_arch", "EDSR", {"upscale": "scale"}),
    "edsr": ("edsr_arch", "EDSR", {"upscale": "scale", "num_feat": 256, "num_block": 32, "res_scale": 0.1}),
    "msrresnet": ("srresnet_arch", "MSRResNet", {"upscale": "scale"}),
    "esrgan": ("rrdbnet_arch", "RRDBNet", {"scale": "scale"}),
}


def basicsr_network(name: str, scale: int, **options: Any) -> nn.Module:
    """BasicSR's own network for one of ours with the same keys: edsr_baseline, edsr, msrresnet or esrgan, on RGB.

    Args:
        name: our name.
        scale: 2, 3 or 4 (BasicSR's RRDBNet returns ×4 when asked for ×3).
        options: BasicSR's own, such as ``num_block``.
    """
    if name not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise UnavailableError("unavailable", f"BasicSR has no network with the keys of {name!r}; it has {known}")
    module, cls, settings = _ARCHITECTURES[name]
    given = {key: scale if value == "scale" else value for key, value in settings.items()}
    build = getattr(import_basicsr(f"basicsr.archs.{module}"), cls)
    network: nn.Module = build(3, 3, **(given | options))
    return network
