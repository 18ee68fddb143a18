"""A study's config: read, held to its JSON Schema, completed with its defaults, or refused.

``reading`` takes a file apart into studies, ``schema`` explains what breaks the schema, ``values``
checks what a schema cannot say; this package hands them on.
"""

from pipeline.config.reading import complete, experiments, load, load_experiments, part, read
from pipeline.config.schema import ConfigError
from pipeline.config.values import choose, number, positive

__all__ = [
    "ConfigError",
    "choose",
    "complete",
    "experiments",
    "load",
    "load_experiments",
    "number",
    "part",
    "positive",
    "read",
]
