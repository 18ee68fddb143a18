"""What laws with a floor share: theta begins with log E."""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Floats, Law


class AboveFloor(Law):
    """A law whose first coordinate is the logarithm of its floor."""

    def revived(self, theta: Floats, y: Floats) -> Floats:
        """A floor below a tenth of the lowest target is raised to it."""
        raised = theta.copy()
        raised[..., 0] = np.maximum(theta[..., 0], y.min() - np.log(10))
        return raised
