"""isoloss: the stages of a scaling-law study, each run as ``python -m pipeline.<stage>``."""

__version__ = "0.1.0"
