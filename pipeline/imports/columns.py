"""What a table of runs can bring: each column of the project, and what tables call it.

Standard library only. Names are compared in lower case by their letters and digits; those of one
letter only as the capital they are in papers.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.imports.units import Kind


class Column(NamedTuple):
    """One column: its kind, whether it is a whole number, the least it can be, what it is called.

    ``names`` are the spellings that are recognised without being mapped; none, and it is taken
    only where the config maps it.
    """

    kind: Kind
    whole: bool = False
    positive: bool = True
    names: tuple[str, ...] = ()


def _count(*names: str, positive: bool = True) -> Column:
    return Column(Kind.COUNT, True, positive, names)


def _number(*names: str, kind: Kind = Kind.NUMBER, positive: bool = True) -> Column:
    return Column(kind, False, positive, names)


def _text(*names: str) -> Column:
    return Column(Kind.TEXT, names=names)


COLUMNS: dict[str, Column] = {
    "params": _count(
        "n", "params", "nparams", "numparams", "parameters", "nparameters", "numparameters",
        "paramcount", "parametercount", "modelparams", "modelsize", "nonembeddingparams",
        "paramsnonembedding", "nnonembedding", "nnoembed", "paramsnoembed",
    ),
    "params_total": _count("paramstotal", "totalparams", "ntotal", "allparams"),
    "tokens": _count(
        "d", "tokens", "ntokens", "numtokens", "tokensseen", "traintokens", "trainingtokens",
        "totaltokens", "tokenstrained", "seentokens",
    ),
    "unique_tokens": _count("u", "uniquetokens"),
    "flops_6nd": _number("flops6nd", "c6nd", kind=Kind.FLOPS),
    "flops_exact": _number(
        "c", "flops", "flop", "compute", "trainflops", "trainingflops", "totalflops",
        "trainingcompute", "traincompute", kind=Kind.FLOPS,
    ),
    "flops_min": _number("flopsmin", "cmin", kind=Kind.FLOPS),
    "loss": _number(
        "loss", "valloss", "validationloss", "evalloss", "testloss", "finalloss", "finalvalloss",
        "lossval", kind=Kind.LOSS,
    ),
    "loss_se": _number("lossse", "vallossse", "lossstandarderror", kind=Kind.LOSS),
    "bits_per_byte": _number("bitsperbyte", "bpb", "valbpb", "evalbpb"),
    "bytes_per_token": _number("bytespertoken"),
    "steps": _count("steps", "nsteps", "numsteps", "trainsteps", "trainingsteps", "totalsteps"),
    "steps_min": _number("stepsmin", "smin"),
    "batch_tokens": _count("batchtokens", "tokensperbatch", "tokensperstep", "batchsizetokens"),
    "critical_batch": _number("criticalbatch", "bcrit", kind=Kind.COUNT),
    "lr": _number("lr", "learningrate", "peaklr", "maxlr", "peaklearningrate"),
    "lr_embedding": _number("lrembedding"),
    "seed": _count("seed", "randomseed", positive=False),
    "weight_bits": _number("weightbits", "bitsperweight"),
    "rounded_bits": _number("roundedbits"),
    "rounding_loss": _number("roundingloss"),
    "n_layer": _count("nlayer", "nlayers", "numlayers", "layers"),
    "d_model": _count("dmodel", "hiddensize", "nembd"),
    "d_ff": _count("dff", "ffwsize", "intermediatesize"),
    "n_head": _count("nhead", "nheads", "numheads", "numattentionheads"),
    "reuse": _count("reuse"),
    "dropout": _number("dropout", positive=False),
    "context": _count("context", "contextlength", "seqlen", "sequencelength"),
    "vocab_size": _count("vocabsize", "nvocab"),
    "warmup_steps": _count("warmupsteps", positive=False),
    "cooldown_steps": _count("cooldownsteps", positive=False),
    "seconds": _number(kind=Kind.SECONDS),
    "tokens_per_second": _number(),
    "finished_at": Column(
        Kind.TIME,
        names=("finishedat", "finishtime", "endedat", "endtime", "completedat", "timestamp"),
    ),
    "family": _text("family", "architecture"),
    "corpus": _text(),
    "schedule": _text("schedule", "lrschedule"),
    "device": _text(),
    "precision": _text(),
    "status": _text("status", "state"),
    # No columns of the runs: which rows belong to one run, and how far each is.
    "run": _text("run", "runid", "runname"),
    "step": _count("step", "globalstep", "trainerglobalstep", positive=False),
}  # fmt: skip
KEYS = ("run", "step")
