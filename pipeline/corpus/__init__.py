"""Stage 1: text -> token shards, a tokenizer and a manifest.

A document passes through these modules in order: ``sources`` (or ``catalog``) reads it, ``dedup``
notes what it repeats, ``split`` gives it a place in one seeded order and a split, ``bpe`` learns
the vocabulary from the training split, ``encode`` turns text into tokens and ``shards`` writes
them. ``build`` is that sequence; ``synthetic`` and ``tokenfile`` enter it with tokens at hand.
"""


class CorpusError(ValueError):
    """A corpus that cannot be built; the message names the file or key, the fault and the cure."""
