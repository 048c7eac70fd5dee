"""Options of the aligners that blend partial whitening and regularised CCA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._base import Aligner
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class _BlendOptions(Aligner):
    """Weight of the blend and options of `PartialWhitening` and `RidgeCCA`."""

    weight: float
    alpha: float
    lam: float
    cca_lam: float
    g: float

    requires_pairing: ClassVar[bool] = True
    uses_means: ClassVar[bool] = True
    source: ClassVar[str] = "this package"

    def check_options(self) -> None:
        """Raise `InputError` for a weight outside [0, 1] or negative options."""
        if not 0 <= self.weight <= 1 or min(self.alpha, self.lam, self.cca_lam, self.g) < 0:
            raise InputError(
                f"weight={self.weight}, alpha={self.alpha}, lam={self.lam}, cca_lam={self.cca_lam}, g={self.g}: "
                "expected weight from 0 to 1 and the others at least 0"
            )
