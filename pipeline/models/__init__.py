"""The models. A family is one module here, one line of FAMILIES, and one of accounting.FAMILIES.

Each is a ``parts.LanguageModel``: an embedding that is also the unembedding, and layers between.
"""

from __future__ import annotations

from pipeline.models.lstm import LSTM
from pipeline.models.parts import LanguageModel
from pipeline.models.recurrent import Recurrent
from pipeline.models.transformer import Transformer

FAMILIES: dict[str, type[LanguageModel]] = {
    "transformer": Transformer,
    "lstm": LSTM,
    "recurrent": Recurrent,
}
