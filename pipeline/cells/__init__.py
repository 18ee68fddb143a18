"""Training runs as they are defined before anything is run. Standard library only.

``cell`` is one run, which this package hands on, as most need no more; ``trunks`` is what cells
share, ``durations`` how long they take, ``parts`` what one process trains.
"""

from pipeline.cells.cell import Cell, digest, short

__all__ = ["Cell", "digest", "short"]
