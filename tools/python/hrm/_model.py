"""Models: made, loaded, saved, asked."""
import ctypes
import operator
import os
import re
from dataclasses import dataclass, fields
from typing import (Any, Callable, Dict, Iterator, List, Literal, Mapping, NamedTuple, Optional, Sequence, Tuple,
                    Union, overload)

import numpy as np
import numpy.typing as npt

from . import _config, _votes
from ._data import IGNORED, Bools, Dataset, Floats, Ints, tokens
from ._library import (CANCELLED, CODES, FOLDER, OK, STRUCTS, ArgumentError, FileError, ModelHandle, Owner, Path, WorkHandle,
                       api, check, fspath, interrupts_later, make)
from ._text import Vocabulary, vocabulary_of


@dataclass(frozen=True)
class Metrics:
    """What is measured, under the library's names. Losses are means over `rows`; the others are means over `count` rows, those
    that have just halted and have a label."""

    step: int  #: of the update, from 1; 0 in an evaluation
    lr: float  #: the learning rate of that update
    rows: float
    count: float
    accuracy: float  #: part of the cells that are right, 0 to 1
    exact_accuracy: float  #: part of the puzzles with every cell right, 0 to 1
    q_halt_accuracy: float  #: how often q_halt >= 0 just where the answer is right, 0 to 1
    steps: float  #: segments
    lm_loss: float  #: of the cells, in nats
    q_halt_loss: float
    q_continue_loss: float
    ponder_loss: float
    grad_norm: float  #: before clipping; 0 where nothing needs it
    loss_scale: float  #: in float16: of the next step; else 0
    skipped: float  #: in float16: steps so far that were skipped

    @classmethod
    def _of(cls, struct: Any) -> "Metrics":
        return cls(**{f.name: getattr(struct, f.name) for f in fields(cls)})


class Solution(NamedTuple):
    """Answers, and what the model thought of them; rows is 1 for a single puzzle."""

    answers: Any  #: like the puzzles: [rows, seq_len] or [seq_len] int32, a text, or a list of texts
    segments: Ints  #: [rows] how many were run
    halted: Bools  #: [rows] whether the model stopped by itself
    q_halt: Floats  #: [rows] logits; above 0 the model takes its answer for right
    q_continue: Floats  #: [rows] logits
    agree: Ints  #: [rows] of the votes, how many copies say the same; 1 without votes


class Segment(NamedTuple):
    """What a segment leaves, for every row."""

    segment: int  #: its number, from 1
    logits: Floats  #: [rows, seq_len, vocab_size]
    predictions: Ints  #: [rows, seq_len] arg max of the logits
    q_halt: Floats  #: [rows] logits
    q_continue: Floats  #: [rows] logits
    halt: Bools  #: [rows] whether the model would stop here
    #: [2, rows, P + seq_len, hidden_size] z_H and z_L, the P puzzle_positions first; None unless asked for
    states: Optional[Floats]


def _newest(path: Path) -> Path:
    """Of a run's folder the newest step_N, N as a number."""
    if not os.path.isdir(path):
        return path
    folder = os.fsdecode(path)
    found = (re.match(r"step_(\d+)(\.safetensors|\.pt|\.pth|\.bin|)$", n) for n in os.listdir(folder))
    steps = [(int(m.group(1)), m.group(2) == ".safetensors", m.group()) for m in found
             if m and not os.path.isdir(os.path.join(folder, m.group()))]
    if steps:
        return os.path.join(folder, max(steps)[2])
    other = os.path.join(folder, "model.safetensors")  # as other libraries name theirs
    if os.path.exists(other):
        return other
    raise FileError("%s: no step_N.safetensors in this folder" % folder)


def shipped() -> str:
    """The path of the model that comes with hrm: in the folder that HRM_MODELS names, or in the package."""
    folder = os.environ.get("HRM_MODELS") or os.path.join(FOLDER, "models")
    path = os.path.join(folder, "sudoku.safetensors")
    if not os.path.isfile(path):
        raise FileError("no sudoku.safetensors in %s: name a checkpoint, or set HRM_MODELS to the folder that has it" % folder)
    return path


class Model(Owner):
    """A model with new weights, drawn as the paper does; `hrm.load` makes one of a file.

    data      the data set that it is for, which tells seq_len, vocab_size and num_puzzle_identifiers; without it they are keys
    config    a dictionary of the command's keys: {"arch": "fast", "arch.hidden_size": 128, "arch.loss.label_smoothing": 0.1}
    keys      the same as keyword arguments, by their last part: hidden_size=128, label_smoothing=0.1; they win.
              Beside the model's own there are device ("cpu" or "cuda"), threads [0: one a processor], forward_dtype, cycles_dtype,
              seed

    docs/options.md lists them all with their defaults. One call at a time works on a model: threads that share one wait for
    each other.
    """

    _owned: Optional[ModelHandle]
    def __init__(self, data: Optional[Dataset] = None, config: Optional[Mapping[str, Any]] = None, **keys: Any):
        said = _config.gather(_config.MODEL_NAMES, config, keys)
        desc, vocabulary = make("hrm_model_desc"), None
        if data is not None:
            handle, vocabulary = data._handle, read_vocabulary(data)
            desc = api.model_desc_for(handle.pointer)
        _config.fill_model(desc, said)
        pointer = ctypes.c_void_p()
        check(api.model_create(ctypes.byref(pointer), desc))
        self._take(pointer, vocabulary)

    def _take(self, pointer: Any, vocabulary: Optional[Vocabulary]) -> None:
        self._owned = ModelHandle(pointer.value)
        desc = api.model_describe(pointer).contents
        self.seq_len: int = desc.seq_len  #: tokens of a puzzle
        self.vocab_size: int = desc.vocab_size  #: kinds of tokens
        self.hidden_size: int = desc.hidden_size
        self.halt_max_steps: int = desc.halt_max_steps  #: segments at most
        self.parameters: int = api.model_parameters(pointer)  #: trained ones, without the puzzle table
        #: every key with its value, defaults filled in: Model(config=m.config) makes another one like it
        self.config: Dict[str, Any] = _config.tell(desc, _config.MODEL)
        self.vocabulary = vocabulary or Vocabulary.guess(self.seq_len, self.vocab_size)
        per_puzzle = desc.puzzle_emb_len or -(-desc.puzzle_emb_ndim // desc.hidden_size)
        #: P, those of the puzzle's own embedding, which come before the tokens' in a state
        self.puzzle_positions: int = per_puzzle if desc.puzzle_emb_ndim else 0

    @property
    def _handle(self) -> ModelHandle:
        if self._owned is None:
            raise ArgumentError("the model is closed")
        return self._owned

    @property
    def vocabulary(self) -> Optional[Vocabulary]:
        """What each token stands for, for puzzles as texts; None where that is not known. It may be set: to a text of
        characters or a list of words, of tokens 1, 2, …"""
        return self._vocabulary

    @vocabulary.setter
    def vocabulary(self, value: Union[Vocabulary, Sequence[str], None]) -> None:
        self._vocabulary = vocabulary_of(value)

    def __repr__(self) -> str:
        return "<hrm.Model: %d parameters, %d tokens, vocabulary %d>" % (self.parameters, self.seq_len, self.vocab_size)

    # ---- files and weights ---------------------------------------------------------------------------------------------------
    def save(self, path: Path, *, dtype: str = "float32", metadata: Optional[Mapping[str, str]] = None) -> None:
        """Writes a safetensors file with the model's configuration in it: aside first, so that a file there before is whole
        until the new one is. dtype: "float32", "bfloat16" or "float16". metadata: more texts for its header."""
        kinds = {"float32": "HRM_F32", "bfloat16": "HRM_BF16", "float16": "HRM_F16"}
        if dtype not in kinds:
            raise ArgumentError("dtype is %r, expected %s" % (dtype, " or ".join(kinds)))
        name = os.fsdecode(path)
        if name.endswith((".pt", ".pth")):
            raise ArgumentError("%s: what is written is safetensors; `hrm convert` makes a PyTorch file of it" % name)
        pairs, count = self._metadata(metadata)
        handle = self._handle
        check(handle.call(api.model_save_as, handle.pointer, fspath(path), CODES[kinds[dtype]], pairs, count))

    def _metadata(self, more: Optional[Mapping[str, str]]) -> Tuple[Any, int]:
        """What files of the model carry besides the library's own, as an array of hrm_metadata and its length."""
        carried = {"hrm.vocabulary": self.vocabulary.text} if self.vocabulary and self.vocabulary.text else {}
        both = {**carried, **(more or {})}
        for pair in both.items():
            if not all(isinstance(text, str) and "\0" not in text for text in pair):
                raise ArgumentError("metadata: %r: %r, expected texts without zero bytes" % pair)
        pairs = [(k.encode(), v.encode()) for k, v in both.items()]
        return (STRUCTS["hrm_metadata"] * max(1, len(pairs)))(*pairs), len(pairs)

    def load_weights(self, path: Path) -> None:
        """Takes the weights of a checkpoint of the same shapes, all of them or, on an error, none."""
        handle = self._handle
        check(handle.call(api.model_load_weights, handle.pointer, fspath(_newest(path))))

    def _tensors(self) -> Iterator[Tuple[int, str, Tuple[int, ...]]]:
        handle, tensor, role = self._handle, make("hrm_tensor"), ctypes.c_int()
        for i in range(api.model_tensor_count(handle.pointer)):
            check(api.model_tensor(handle.pointer, i, tensor, ctypes.byref(role)))
            yield i, tensor.name.decode(), tuple(tensor.shape[:tensor.ndim])

    def state_dict(self) -> Dict[str, Floats]:
        """Copies of all tensors by their names in the public code's checkpoints, float32."""
        handle, out = self._handle, {}
        for i, name, shape in self._tensors():
            out[name] = np.empty(shape, np.float32)
            check(handle.call(api.model_tensor_read, handle.pointer, i, out[name].ctypes.data))
        return out

    def load_state_dict(self, tensors: Mapping[str, Any]) -> None:
        """Sets these tensors; others stay. Names and shapes are checked before anything is set."""
        handle = self._handle
        at = {name: (i, shape) for i, name, shape in self._tensors()}
        arrays = {}
        for name, values in tensors.items():
            array = np.ascontiguousarray(values, np.float32)
            if name not in at:
                raise ArgumentError("the model has no tensor %s" % name)
            if array.shape != at[name][1]:
                raise ArgumentError("tensor %s: shape %s, expected %s" % (name, list(array.shape), list(at[name][1])))
            arrays[name] = array
        for name, array in arrays.items():
            check(handle.call(api.model_tensor_write, handle.pointer, at[name][0], array.ctypes.data))

    # ---- answers -------------------------------------------------------------------------------------------------------------
    def _read(self, puzzles: Any) -> Tuple[Ints, Callable[[Ints], Any]]:
        """Puzzles of any kind as [rows, seq_len], and what makes answers like them."""
        texts = [puzzles] if isinstance(puzzles, str) else puzzles
        if isinstance(texts, (list, tuple)) and texts and all(isinstance(t, str) for t in texts):
            vocabulary = self.vocabulary
            if vocabulary is None:
                raise ArgumentError("what its tokens stand for is not known of this model: set its vocabulary, or give arrays")
            read = [vocabulary.encode(t, self.seq_len) for t in texts]
            decode = vocabulary.decode

            def write(answers: Ints) -> Any:
                out = [decode(a, t, spans) for a, t, (_, spans) in zip(answers, texts, read)]
                return out[0] if isinstance(puzzles, str) else out

            return np.stack([t for t, _ in read]), write
        one = np.ndim(puzzles) == 1
        return tokens(puzzles, "puzzles", self.seq_len), (lambda answers: answers[0] if one else answers)

    def _identifiers(self, puzzle_identifiers: Any, rows: int) -> Ints:
        if puzzle_identifiers is None:
            return np.zeros(rows, np.int32)
        ids = tokens(np.atleast_1d(puzzle_identifiers), "puzzle_identifiers", rows)
        if ids.shape[0] != 1:
            raise ArgumentError("puzzle_identifiers: shape %s, expected [%d]" % (list(ids.shape), rows))
        first: Ints = ids[0]
        return first

    @overload
    def solve(self, puzzles: str, *, puzzle_identifiers: Any = ..., halt: str = ..., halt_max_steps: Optional[int] = ...,
              votes: int = ..., vote: str = ..., batch_size: int = ..., start_noise: float = ..., noise_seed: int = ...,
              copies: int = ..., symmetric: bool = ..., details: Literal[False] = ...) -> str: ...
    @overload
    def solve(self, puzzles: Union[List[str], Tuple[str, ...]], *, puzzle_identifiers: Any = ..., halt: str = ...,
              halt_max_steps: Optional[int] = ..., votes: int = ..., vote: str = ..., batch_size: int = ...,
              start_noise: float = ..., noise_seed: int = ..., copies: int = ...,
              symmetric: bool = ..., details: Literal[False] = ...) -> List[str]: ...
    @overload
    def solve(self, puzzles: npt.NDArray[Any], *, puzzle_identifiers: Any = ..., halt: str = ...,
              halt_max_steps: Optional[int] = ..., votes: int = ..., vote: str = ..., batch_size: int = ...,
              start_noise: float = ..., noise_seed: int = ..., copies: int = ...,
              symmetric: bool = ..., details: Literal[False] = ...) -> Ints: ...
    @overload
    def solve(self, puzzles: Any, *, puzzle_identifiers: Any = ..., halt: str = ..., halt_max_steps: Optional[int] = ...,
              votes: int = ..., vote: str = ..., batch_size: int = ..., start_noise: float = ..., noise_seed: int = ...,
              copies: int = ..., symmetric: bool = ..., details: Literal[True]) -> Solution: ...

    def solve(self, puzzles: Any, *, puzzle_identifiers: Any = None, halt: str = "adaptive",
              halt_max_steps: Optional[int] = None, votes: int = 1, vote: str = "majority", batch_size: int = 64,
              start_noise: float = 0.0, noise_seed: int = 0, copies: int = 1, symmetric: bool = True,
              details: bool = False) -> Any:
        """The answers to puzzles, in their own form: a text for a text, a list for a list of texts, [rows, seq_len] int32 for
        an array of tokens of that shape, [seq_len] for one.

        puzzle_identifiers  [rows] rows of the puzzle table [all 0]
        halt                "adaptive": a puzzle is done when the model says so; "full": after all segments, as published
        halt_max_steps      segments at most [the model's]; may exceed those of training
        votes               so many copies of each puzzle are solved, as by `hrm solve votes=N`: symmetric ones of Sudokus and
                            mazes (of these 8 at most), of others, equal ones, with start_noise
        vote                whose answer is taken: "majority": what most copies say; "first": the first's that says it is right;
                            "best_q": the one with the best q_halt
        batch_size          puzzles at once, their copies counted; the answers do not depend on it
        start_noise         how far from their initial values the states start, a normal deviation drawn by noise_seed, for each
                            copy its own
        copies              without votes: row r is copy r mod `copies` of a puzzle, which tells what noise it gets
        symmetric           False: of Sudokus and mazes too the copies are equal ones, with start_noise
        details             True: a Solution, with segments, q's and how many copies agree
        """
        inputs, write = self._read(puzzles)
        _some("copies", copies)
        if not 0 <= operator.index(noise_seed) <= 1 << 53:
            raise ArgumentError("noise_seed is %d, expected 0 to %d" % (noise_seed, 1 << 53))
        if votes != 1:
            if copies != 1:
                raise ArgumentError("votes makes its own copies: give votes=%d or copies=%d" % (votes, copies))
            copies = votes
        task = self.vocabulary.task if self.vocabulary and symmetric else None
        made = _votes.copies(votes, task, self.seq_len, self.vocab_size, start_noise)
        ids = np.repeat(self._identifiers(puzzle_identifiers, inputs.shape[0]), votes)
        if votes > 1:
            inputs = made.turn(inputs)
        rows = inputs.shape[0]
        answers = np.empty_like(inputs)
        results = (STRUCTS["hrm_solve_result"] * max(rows, 1))()
        at_once = -(-_some("batch_size", batch_size) // copies) * copies
        handle = self._handle
        for first in range(0, rows, at_once):
            part = slice(first, min(rows, first + at_once))
            desc = make("hrm_solve_desc", rows=part.stop - first, puzzle_identifiers=ids[part].ctypes.data,
                        max_steps=_some("halt_max_steps", halt_max_steps), no_halting=int(_is_full(halt)),
                        start_noise=start_noise, copies=copies, noise_seed=noise_seed)
            desc.results = ctypes.pointer(results[first])
            check(handle.call(api.solve, handle.pointer, inputs[part].ctypes.data, answers[part].ctypes.data, desc))
        table = np.array([(r.segments, r.halted, r.q_halt, r.q_continue) for r in results[:rows]], np.float64).reshape(rows, 4)
        said = made.back(answers)
        by_copy = table.reshape(-1, votes, 4)
        winner, agree = _votes.count(said, by_copy[:, :, 2], by_copy[:, :, 1] > 0, vote)
        each = np.arange(len(winner))
        written, table = write(said[each, winner]), by_copy[each, winner]
        if not details:
            return written
        return Solution(written, table[:, 0].astype(np.int32), table[:, 1] > 0, table[:, 2].astype(np.float32),
                        table[:, 3].astype(np.float32), agree)

    def segments(self, puzzles: Any, *, puzzle_identifiers: Any = None, halt_max_steps: Optional[int] = None,
                 states: bool = False) -> Iterator[Segment]:
        """One segment after the other, all rows at once: what the model has at each. It goes on to halt_max_steps segments [the
        model's, and no more]; leave the loop when `halt` is all you wait for. With `states` also what the model thinks in."""
        inputs, _ = self._read(puzzles)
        rows, handle = inputs.shape[0], self._handle
        ids = self._identifiers(puzzle_identifiers, rows)
        last = _some("halt_max_steps", halt_max_steps) or self.halt_max_steps
        if last > self.halt_max_steps:
            raise ArgumentError("halt_max_steps is %d, the model's %d: load it with more" % (last, self.halt_max_steps))
        pointer = ctypes.c_void_p()
        check(handle.call(api.run_create, ctypes.byref(pointer), handle.pointer, make("hrm_run_desc", rows=rows)))
        return self._segments(WorkHandle(pointer.value or 0, api.run_destroy, handle), inputs, ids, last, states)

    def _segments(self, run: WorkHandle, inputs: Ints, ids: Ints, last: int, states: bool) -> Iterator[Segment]:
        rows, labels = inputs.shape[0], np.full_like(inputs, IGNORED)
        batch = make("hrm_batch", rows=rows, filled=rows, inputs=inputs.ctypes.data, labels=labels.ctypes.data,
                     puzzle_identifiers=ids.ctypes.data)
        for segment in range(1, last + 1):
            logits = np.empty((rows, self.seq_len, self.vocab_size), np.float32)
            q_halt, q_continue = np.empty(rows, np.float32), np.empty(rows, np.float32)
            z = None
            if states:
                z = np.empty((2, rows, self.puzzle_positions + self.seq_len, self.hidden_size), np.float32)
            predictions = np.empty_like(inputs)
            outputs = make("hrm_run_outputs", logits=logits.ctypes.data, q_halt=q_halt.ctypes.data,
                           q_continue=q_continue.ctypes.data, predictions=predictions.ctypes.data,
                           states=None if z is None else z.ctypes.data)
            check(run.model.call(api.run_segment, run.pointer, batch, None))
            check(run.model.call(api.run_read, run.pointer, outputs))
            halt = q_halt > (0 if self.config["arch.no_ACT_continue"] else q_continue)
            yield Segment(segment, logits, predictions, q_halt, q_continue, halt, z)

    def evaluate(self, data: Union[Dataset, Path], *, halt: str = "full", halt_max_steps: Optional[int] = None,
                 batch_size: int = 64, examples: Optional[int] = None,
                 callback: Optional[Callable[[int, int, Metrics], Any]] = None) -> Metrics:
        """Measures the model on a data set, or on the test split of a folder.

        halt            "full": always all segments, as published; "adaptive": a puzzle is done when the model says so
        halt_max_steps  segments at most [the model's]
        batch_size      puzzles at once
        examples        only the first so many [all]
        callback        called after every batch with how many are done, of how many, and the metrics so far; what it raises
                        ends the evaluation
        """
        if not isinstance(data, Dataset):
            data = Dataset(data, "test")
        raised: List[BaseException] = []

        def on_batch(user: Any, done: int, total: int, so_far: Any) -> int:
            try:
                if callback is not None:
                    callback(done, total, Metrics._of(so_far.contents))
            except BaseException as e:  # the library is between here and whoever wants it
                raised.append(e)
            return CANCELLED if raised or interrupts else OK

        desc = make("hrm_evaluate_desc", batch_size=_some("batch_size", batch_size), adaptive=int(not _is_full(halt)),
                    max_steps=_some("halt_max_steps", halt_max_steps), max_examples=_some("examples", examples))
        desc.on_batch = keep = type(desc.on_batch)(on_batch)
        handle, source, metrics = self._handle, data._handle, make("hrm_metrics")
        with interrupts_later() as interrupts:
            status = handle.call(api.evaluate, handle.pointer, source.pointer, desc, metrics)
        del keep
        if raised:
            raise raised[0]
        check(status)
        return Metrics._of(metrics)


def _some(name: str, value: Optional[int]) -> int:
    """A number that the library has an int for; None: 0, which is its default."""
    if value is not None and not 1 <= value < 2**31:
        raise ArgumentError("%s is %d, expected 1 to 2147483647" % (name, value))
    return value or 0


def _is_full(halt: str) -> bool:
    if halt not in ("adaptive", "full"):
        raise ArgumentError("halt is %r, expected adaptive or full" % (halt,))
    return halt == "full"


def read_vocabulary(data: Dataset) -> Optional[Vocabulary]:
    """Of a data set of grids or sequences of one's own."""
    path = None if data.path is None else os.path.join(data.path, "vocabulary.json")
    if path is None or not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8") as f:
        return Vocabulary.parse(f.read(), path)


def load(path: Optional[Path] = None, config: Optional[Mapping[str, Any]] = None, **keys: Any) -> Model:
    """A model from a checkpoint: safetensors, or PyTorch's of the public HRM and TRM code; of a run's folder its newest step.
    Without a path the Sudoku model that comes with hrm.

    config, keys   as of Model: device, threads and forward_dtype; what a file does not say, such as num_heads=8 of a PyTorch
                   file; and what no weight depends on, such as halt_max_steps=32. What contradicts the file is an error.
    """
    said = _config.gather(_config.MODEL_NAMES, config, keys)
    desc = make("hrm_model_desc")
    _config.fill_model(desc, said)
    name = fspath(shipped() if path is None else _newest(path))
    model = Model.__new__(Model)
    pointer, file = ctypes.c_void_p(), ctypes.c_void_p()
    check(api.model_load(ctypes.byref(pointer), name, desc))
    model._take(pointer, None)
    check(api.tensors_open(ctypes.byref(file), name, None))
    text = api.tensors_metadata(file, b"hrm.vocabulary")
    api.tensors_close(file)
    if text is not None:
        model.vocabulary = Vocabulary.parse(text.decode("utf-8", "replace"), os.fsdecode(name))
    return model
