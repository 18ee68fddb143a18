"""The questions of each task, against what they must say; and practice text without them."""

import importlib
import math
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

import jsonschema
import numpy as np
import pytest

from pipeline.config import ConfigError
from pipeline.config.schema import schema
from pipeline.corpus import bpe
from pipeline.corpus.sources import documents, provenance
from pipeline.tasks import TASKS, arithmetic, brackets, last_word, minimal_pairs, practice, spelling
from pipeline.tasks.items import Items, Material, TaskError, distinct
from pipeline.tasks.refusal import refuse_tasks
from pipeline.training.data import TokenStream
from pipeline.training.inputs import InputError
from pipeline.training.questions import Questions

VERSE = (
    "The stars above the silver river shine, and every sailor sings a song of home.\n"
    "He saw the ships; she heard the wind, the rain and the far away thunder!\n"
)
BYTES = 257  # the smallest vocabulary: every byte is a token of its own


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> tuple[Path, TokenStream]:
    """A manifest's path with a tokenizer of bytes beside it, and a text."""
    manifest = tmp_path_factory.mktemp("corpus") / "manifest.parquet"
    tokenizer = bpe.trained([VERSE], BYTES)
    tokenizer.save(str(manifest.with_name("tokenizer.json")))
    end = bpe.end_of_text(tokenizer)
    ids = [*tokenizer.encode(VERSE).ids, end] * 40
    return manifest, TokenStream((np.array(ids, np.uint16),), end)


@pytest.fixture
def material(corpus) -> Material:
    manifest, text = corpus
    return Material(text, manifest.with_name("tokenizer.json"), 64, BYTES)


def told(items: Items, material: Material) -> list[tuple[str, str]]:
    """(what stands before the answer, the answer) of each row."""
    found = []
    for window, question in zip(items.windows, items.question):
        places = np.flatnonzero(question >= 0) + 1
        decode = material.tokenizer.decode
        found.append((decode(window[: places[0]].tolist()), decode(window[places].tolist())))
    return found


@pytest.mark.parametrize("name", [n for n, task in TASKS.items() if task.vocabulary <= 11])
def test_every_task_fits_the_least_context_that_it_names(corpus, name):
    manifest, text = corpus
    context = TASKS[name].context
    items = Questions(manifest, text, context, BYTES).items(name)
    assert items.windows.shape[1] <= context + 1
    assert items.question.shape == (items.windows.shape[0], items.windows.shape[1] - 1)
    asked_ = np.unique(items.question[items.question >= 0])
    assert asked_.tolist() == list(range(items.count))  # each question has a target
    assert items.count >= 32
    assert 0 <= items.chance < 1
    again = Questions(manifest, text, context, BYTES).items(name)
    assert np.array_equal(items.windows, again.windows)
    assert np.array_equal(items.question, again.question)


def test_a_context_below_the_least_is_refused_by_name(corpus):
    manifest, text = corpus
    with pytest.raises(
        InputError, match=r"evaluation\.tasks: brackets: only 0 questions of 32 or more fit"
    ):
        Questions(manifest, text, 6, BYTES).items("brackets")
    short = TokenStream((text.shards[0][:20],), text.end_of_text)
    with pytest.raises(InputError, match=r"top1: needs 65 tokens of validation text, there are 20"):
        Questions(manifest, short, 64, BYTES).items("top1")


def test_sums_are_right_and_ask_for_all_of_the_answer(material):
    rows = told(arithmetic.items("arithmetic", material), material)
    assert len(set(rows)) == 256
    for prompt, answer in rows:
        left, right = prompt.removeprefix("\n").removesuffix("=").split("+")
        assert answer == f"{int(left) + int(right)}\n"


def test_words_are_spelt_letter_by_letter(material):
    for prompt, answer in told(spelling.items("spelling", material), material):
        word = prompt.removeprefix("\n").removesuffix(":")
        assert answer.removesuffix("\n").split(" ") == ["", *word]


def test_the_first_of_three_brackets_alone_can_close(material):
    rows = told(brackets.items("brackets", material), material)
    assert len(rows) == 3 * 128
    for index, (prompt, answer) in enumerate(rows):
        text = (prompt + answer).replace(" ", "").strip()
        before = None
        while before != text:  # a closed pair of any kind vanishes
            before, text = text, text.replace("()", "").replace("[]", "").replace("{}", "")
        is_right = not set(text) & set(")]}")
        assert is_right == (index % 3 == 0)
        assert prompt.rstrip()[-1] in ")]}"  # what opened last is not what is asked about


def test_both_sentences_of_a_pair_differ_in_one_word_that_is_as_often_right_as_wrong(material):
    rows = told(minimal_pairs.items("minimal_pairs", material), material)
    assert len(rows) == 2 * 128
    right, wrong = [], []
    for (prompt, first), (same, second) in zip(rows[::2], rows[1::2]):
        assert prompt == same
        assert first.split()[1:] == second.split()[1:]
        right.append(first.split()[0])
        wrong.append(second.split()[0])
    for word in {*right, *wrong}:
        told_ = right.count(word) + wrong.count(word)
        assert abs(right.count(word) - told_ / 2) < 2.6 * math.sqrt(told_) / 2
    assert {"is", "are", "this", "these", "himself.", "herself."} == {*right, *wrong}
    for prompt, answer in rows[::2]:
        subject, verb = prompt.split()[1], answer.split()[0]
        if verb in ("is", "are"):
            assert subject.endswith("s") == (verb == "are")


def test_copies_are_asked_from_their_second_token_on(material):
    items = made("induction", material)
    half = items.windows.shape[1] // 2
    assert np.array_equal(items.windows[:, :half], items.windows[:, half:])
    assert (items.question[:, :half] == -1).all()
    assert (items.question[:, half:] >= 0).all()
    assert items.question[0, half] == 0
    assert set(np.unique(items.windows)) <= set(np.flatnonzero(material.counts))
    assert material.text.end_of_text not in items.windows


def made(name: str, material: Material) -> Items:
    return importlib.import_module(f"pipeline.tasks.{TASKS[name].module}").items(name, material)


def test_ranks_share_out_the_targets_by_frequency(material):
    whole = made("top1", material)
    parts = [made(f"rank_{last}", material) for last in (10, 100)]
    assert all(part.windows is whole.windows for part in parts)  # one pass serves them all
    covered = sum((part.question >= 0).astype(int) for part in parts)
    common = np.argsort(-material.counts, kind="stable")[:10]
    targets = whole.windows[:, 1:]
    assert np.array_equal(parts[0].question >= 0, np.isin(targets, common))
    assert covered.max() == covered.min() == 1  # this text has fewer than a hundred tokens
    assert whole.count == targets.size
    # The commonest answer is the space: of all guesses without looking the best.
    assert whole.chance == pytest.approx(1 - np.bincount(targets.ravel()).max() / targets.size)


def test_last_words_are_whole_and_end_before_a_mark():
    tokens = [
        "The",
        " st",
        "ars",
        " above",
        ",",
        " he",
        " saw",
        "\n",
        "B",
        "ut",
        ".",
        " x",
        "'",
        " y",
    ]
    assert last_word.words(tokens) == [(3, 4), (6, 7), (8, 10)]
    assert last_word.words([" st", "ars", "!"]) == [(0, 2)]
    assert last_word.words(["ars", "!"]) == []  # its beginning is cut off


def test_last_words_stand_in_the_second_half_of_the_window(material):
    merged = bpe.trained([VERSE], 300)
    words = Material(
        TokenStream((np.array(merged.encode(VERSE * 60).ids, np.uint16),), 299),
        material.tokenizer_file, 32, 300,
    )  # fmt: skip
    object.__setattr__(words, "tokenizer", merged)
    items = made("last_word", words)
    found = set()
    for window, question in zip(items.windows, items.question):
        for number in np.unique(question[question >= 0]):
            places = np.flatnonzero(question == number) + 1
            assert places[0] > 16
            assert places.tolist() == list(range(places[0], places[-1] + 1))
            found.add(merged.decode(window[places].tolist()))
    assert found <= {" shine", " home", " ships", " wind", " thunder"}
    assert len(found) >= 3


def test_chance_is_that_of_the_commonest_answer_or_of_a_choice():
    windows = np.array([[0, 5, 6], [0, 5, 6], [0, 5, 7], [0, 6, 5]])
    question = np.array([[0, 0], [1, 1], [2, 2], [3, 3]])
    assert Items(windows, question).chance == 0.5
    assert Items(windows, question, choices=2).chance == 0.5
    assert Items(windows, question, choices=4).chance == 0.75


@pytest.mark.parametrize("name", practice.DRAWS)
def test_no_question_stands_in_practice_text(name):
    text = "".join(practice.documents([name], 400_000, 3))
    lines = set(text.splitlines(keepends=True))
    assert len(lines) > 5000
    questions = list(islice(distinct(practice.DRAWS[name], 0), 256))
    assert len(questions) == 256
    asked = [example.prompt + example.answer for example in questions]
    assert len(set(asked)) == len(asked)
    starts = {line[: len(question)] for question in asked for line in lines}
    assert not set(asked) & starts
    if name == "arithmetic":  # nor with its terms the other way round
        sums = {line.partition("=")[0] for line in lines}
        turned = {"+".join(reversed(e.prompt.rstrip("=").split("+"))) for e in questions}
        assert not turned & sums
    kept = [practice.DRAWS[name](random).held_out for random in [Random(5)] for _ in range(4000)]
    assert np.mean(kept) == pytest.approx(1 / 8, abs=0.02)


def test_practice_text_is_shared_out_evenly_and_of_the_size_asked_for():
    found = list(practice.documents(["arithmetic", "spelling"], 100_000, 0))
    assert found == list(practice.documents(["arithmetic", "spelling"], 100_000, 0))
    assert found != list(practice.documents(["arithmetic", "spelling"], 100_000, 1))
    assert 100_000 <= sum(map(len, found)) < 100_064
    sums = [document for document in found if "+" in document]
    assert abs(len(sums) - len(found) / 2) <= 1
    assert not any(":" in document for document in sums)
    source = {"practice": {"tasks": ["brackets"], "bytes": "1e4", "seed": 2}}
    assert list(documents([source], 65536)) == list(practice.documents(["brackets"], 10_000, 2))
    assert provenance([source]) == [source]


def test_the_config_names_every_task_that_practice_text_may_have():
    rule = schema()["$defs"]["source"]["properties"]["practice"]["properties"]["tasks"]
    assert set(rule["items"]["enum"]) == set(practice.DRAWS) == set(rule["default"])
    jsonschema.Draft202012Validator(rule).validate(rule["default"])


@pytest.mark.parametrize(
    ("names", "context", "vocab", "synthetic", "message"),
    [
        (["top2"], 32, 512, False, r"evaluation\.tasks\[0\]: 'top2' .*did you mean 'top1'"),
        (["top1", "brackets"], 16, 512, False, r"\[1\]: 'brackets' does not fit into a context of 16"),
        (["rank_1000"], 32, 100, False, "'rank_1000' asks for tokens that a vocabulary of 100"),
        (["spelling"], 32, 512, True, "a model of a synthetic language cannot read; leave it out"),
    ],
)  # fmt: skip
def test_tasks_that_models_cannot_do_are_refused(names, context, vocab, synthetic, message):
    with pytest.raises(ConfigError, match=message):
        refuse_tasks(names, context, vocab, synthetic)
    refuse_tasks(["induction", "top1"], 8, 32, True)


def test_a_missing_tokenizer_is_named(material, tmp_path):
    with pytest.raises(TaskError, match=r"none\.json, which is missing"):
        _ = replace(material, tokenizer_file=tmp_path / "none.json").tokenizer
