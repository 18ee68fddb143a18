"""How a batch goes through a device's memory: tokens of a pass, what the backward pass keeps.

Bytes are estimates from the shape alone. Tests hold them to what PyTorch keeps on the CPU, and to
the most that is alive at once; on a GPU none of it has been measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from pipeline import accounting
from pipeline.cells import Cell
from pipeline.models.operations import chunk_rows, fastest, saved_attention
from pipeline.training.team import share

MICRO_TOKENS = {"cpu": 4096, "cuda": 65536}  # tokens of one forward pass; larger batches add up
BUSY_TOKENS = 4096  # tokens of one forward pass below which a GPU is taken to idle
SCORED_LOGITS = {"cpu": 2**26, "cuda": 2**30}  # at once, without gradients; 8 to 12 bytes each
USABLE = 0.9  # share of a device's memory: the rest is the library's and lost between blocks
LSTM_NUMBERS = 18  # numbers for each token and unit of width that an LSTM layer keeps, about


@dataclass(frozen=True)
class Passes:
    """How the rows of a batch go through the model.

    ``tokens`` are those of one forward pass with gradients, ``scored`` of one without; at least one
    window each. ``needed`` is the estimate in bytes; ``usable`` what there is, None if unknown.
    """

    tokens: int
    scored: int
    recomputed: bool = False  # are a layer's activations computed anew in the backward pass?
    sharded: bool = False  # is one model shared out between the processes?
    needed: int = 0
    usable: int | None = None

    def rows(self, context: int) -> int:
        """Windows of one forward pass with gradients."""
        return max(1, self.tokens // context)


def choose(
    cell: Cell, precision: str, kind: str, usable: int | None, processes: int = 1,
    shard: str = "auto",
) -> Passes:  # fmt: skip
    """How a cell's batches go through ``processes`` devices of ``usable`` bytes each.

    In this order, the first that fits: MICRO_TOKENS at once; fewer, as long as a GPU is busy;
    layers' activations computed anew, which costs a third more arithmetic, with as many tokens as
    fit; the model shared out between the processes, in the same order again. Sharing out comes
    last as its cost is the network's, which is unknown here. Where nothing fits the last is taken.
    Where ``usable`` is None, as on the CPU, nothing is decided by memory.
    """
    first = Passes(
        MICRO_TOKENS[kind], min(MICRO_TOKENS[kind], SCORED_LOGITS[kind] // cell.vocab_size),
        sharded=processes > 1 and shard == "always", usable=usable,
    )  # fmt: skip
    if usable is None:
        return first
    found = first
    for tried in _candidates(first, cell.context, processes > 1 and shard == "auto"):
        found = replace(tried, needed=needed_bytes(cell, precision, kind, tried, processes))
        if found.needed <= usable:
            break
    while found.scored > cell.context and (
        _scoring_bytes(cell, precision, kind, found, processes) > usable
    ):
        found = replace(found, scored=found.scored // 2)
    return found


def _candidates(first: Passes, context: int, may_share: bool) -> list[Passes]:
    found = []
    for sharded in (False, True) if may_share else (first.sharded,):
        for recomputed, least in ((False, max(BUSY_TOKENS, context)), (True, context)):
            tokens = first.tokens
            while tokens >= least or tokens == first.tokens:
                found.append(replace(first, tokens=tokens, recomputed=recomputed, sharded=sharded))
                tokens //= 2
        # Halves of a number that is no multiple of the context may miss a single window.
        found.append(replace(first, tokens=context, recomputed=True, sharded=sharded))
    return found


def told(cell: Cell, passes: Passes, kind: str, processes: int) -> str | None:
    """A line for the log where memory changes how a batch goes through; else None."""
    fits = passes.usable is None or passes.needed <= passes.usable
    said = []
    if passes.sharded and passes.usable is not None:
        said.append(f"shared out between {processes} processes")
    if passes.tokens < MICRO_TOKENS[kind]:
        said.append(f"{passes.rows(cell.context) * cell.context} tokens in a pass")
    if passes.recomputed:
        said.append("activations computed anew in the backward pass")
    if fits and not said:
        return None
    needed, usable = passes.needed / 2**30, (passes.usable or 0) / 2**30
    line = f"{cell.key}: {', '.join(said) or 'whole'}: takes about {needed:.2f} of {usable:.2f} GiB"
    return line if fits else f"{line}, so it may run out of memory; train it on more GPUs"


def device_bytes(device: torch.device) -> int | None:
    """Bytes of a GPU's memory that training may take; None on the CPU, which pages."""
    return int(USABLE * torch.cuda.mem_get_info(device)[1]) if device.type == "cuda" else None


def needed_bytes(cell: Cell, precision: str, kind: str, passes: Passes, processes: int = 1) -> int:
    """Memory in bytes of training a cell, for each of the processes, as an estimate."""
    tokens = _tokens_at_once(cell, passes, processes)
    kept = kept_bytes(cell, precision, kind, tokens, passes.recomputed)
    going = max(
        _loss_bytes(cell, precision, kind, tokens),
        _backward_bytes(cell, precision, kind, tokens, passes.recomputed),
    )
    return fixed_bytes(cell, precision, processes if passes.sharded else 1) + kept + going


def fixed_bytes(cell: Cell, precision: str, parts: int = 1) -> int:
    """Bytes of parameters, moments and gradients in a process that has one of ``parts`` of them.

    For each parameter 4 of the master, 8 of AdamW's moments, 4 of the summed gradient, and in the
    precision of the arithmetic a fresh gradient, with bf16 a copy as well. A process that has a
    part has its fresh gradient in float32, and holds whole, with their gradients, the embeddings
    and two layers: that which computes, and the next on its way.
    """
    width = _width(precision)
    parameters = accounting.total_params(cell.shape, cell.vocab_size, cell.context)
    if parts == 1:
        each = 16 if cell.optimizer == "adamw" else 8
        return parameters * (each + (2 * width if precision == "bf16" else width))
    embeddings = accounting.embedding_params(cell.shape, cell.vocab_size, cell.context)
    gathered = embeddings + 2 * (parameters - embeddings) // cell.n_layer
    return 20 * parameters // parts + gathered * (2 * width + 4)


def kept_bytes(cell: Cell, precision: str, kind: str, tokens: int, recomputed: bool) -> int:
    """Bytes that the forward pass of ``tokens`` leaves for the backward pass.

    Of every layer what its operations keep, or with recomputation its input alone; the last norm's
    input, and the gradients that the fused loss leaves in place of logits.
    """
    width = _width(precision)
    layer = (
        tokens * cell.d_model * width if recomputed
        else _layer_bytes(cell, precision, kind, tokens)
    )  # fmt: skip
    # The norm's input in float32, the gradient of the states; that of the embedding.
    frame = tokens * cell.d_model * (4 + width) + cell.vocab_size * cell.d_model * width
    return cell.shape.depth * layer + frame


def _layer_bytes(cell: Cell, precision: str, kind: str, tokens: int) -> int:
    """Bytes that one layer keeps of ``tokens``."""
    width, d = _width(precision), cell.d_model
    masks = (1 if kind == "cuda" else width) if cell.dropout else 0
    if cell.family == "lstm":
        wide = 4 if kind == "cpu" else width  # there its kernel computes in float32
        return tokens * d * (4 + LSTM_NUMBERS * wide + masks)
    # Inputs of both norms, in float32. Then those of the matrices, queries, keys and values, the
    # two sides of the activation.
    each = 2 * 4 * d + (6 * d + 2 * cell.d_ff) * width + 2 * d * masks
    return tokens * (each + _probabilities(cell, precision, kind) * width)


def _probabilities(cell: Cell, precision: str, kind: str) -> int:
    """Of attention, how many a layer keeps for each token."""
    kept = fastest(kind, precision).attention is saved_attention and not cell.dropout
    return cell.context * cell.n_head if kept else 0


def _backward_bytes(cell: Cell, precision: str, kind: str, tokens: int, recomputed: bool) -> int:
    """Bytes of a layer's backward pass while it runs: gradients of what it kept."""
    widest = 4 * cell.d_model
    if cell.family != "lstm":
        attention = 3 * cell.d_model + 2 * _probabilities(cell, precision, kind)
        widest = max(attention, 2 * cell.d_ff)
    going = tokens * (2 * cell.d_model + widest) * _width(precision)
    return going + recomputed * _layer_bytes(cell, precision, kind, tokens)


def _loss_bytes(cell: Cell, precision: str, kind: str, tokens: int) -> int:
    """Bytes of the fused loss while it runs: a chunk's logits, the sum for the embedding.

    Of a chunk, the logits and probabilities in float32, and in bf16 the logits as they came.
    """
    width, held = _width(precision), min(tokens, chunk_rows(cell.vocab_size, kind))
    of_embedding = cell.vocab_size * cell.d_model * (4 + width if held < tokens else width)
    each = 8 if width == 4 else 8 + width
    return held * cell.vocab_size * each + of_embedding + tokens * cell.d_model * width


def _scoring_bytes(cell: Cell, precision: str, kind: str, passes: Passes, processes: int) -> int:
    """Bytes of a forward pass without gradients beside what training holds.

    One layer at a time, at most what it would keep; logits in the arithmetic's precision, in
    float32, and their logarithms' softmax.
    """
    logits = passes.scored * cell.vocab_size * (8 + _width(precision))
    layer = _layer_bytes(cell, precision, kind, passes.scored)
    fixed = fixed_bytes(cell, precision, processes if passes.sharded else 1)
    return fixed + logits + layer


def _tokens_at_once(cell: Cell, passes: Passes, processes: int) -> int:
    """Tokens of the largest pass of the process that has most rows."""
    rows = len(share(cell.batch_tokens // cell.context, 0, processes))
    return min(passes.rows(cell.context), rows) * cell.context


def _width(precision: str) -> int:
    return 2 if precision == "bf16" else 4
