"""Data sets: folders that `hrm data` made, or arrays in memory."""
import ctypes
import os
from typing import Any, Iterator, NamedTuple, Optional, Tuple, Union

import numpy as np
import numpy.typing as npt

from ._library import END, ArgumentError, Handle, Owner, Path, api, check, fspath, make

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
IGNORED = -100  #: a label that is not trained on and not counted


class Batch(NamedTuple):
    """Examples, one a row, of `seq_len` tokens each."""

    inputs: Ints  #: [rows, seq_len] tokens, 0 to vocab_size - 1
    labels: Ints  #: [rows, seq_len] tokens, -100 where ignored
    puzzle_identifiers: Ints  #: [rows] rows of the puzzle table


def tokens(values: Any, name: str, seq_len: int) -> Ints:
    """[rows, seq_len] int32 in one piece, from any array of whole numbers of that shape, or of [seq_len]."""
    array = np.asarray(values)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != seq_len:
        raise ArgumentError("%s: shape %s, expected [rows, %d]" % (name, list(array.shape), seq_len))
    out: Ints = whole(array, name, np.int32)
    return out


def whole(array: Any, name: str, dtype: Any) -> Any:
    """An array of whole numbers in one piece and of a type that holds them."""
    array = np.asarray(array)
    if array.dtype == np.bool_ or not np.issubdtype(array.dtype, np.integer):
        raise ArgumentError("%s: of type %s, expected whole numbers" % (name, array.dtype))
    limits = np.iinfo(dtype)
    if array.size and not (limits.min <= int(array.min()) and int(array.max()) <= limits.max):
        raise ArgumentError("%s: values from %d to %d, expected %d to %d"
                            % (name, array.min(), array.max(), limits.min, limits.max))
    return np.ascontiguousarray(array, dtype)


class Dataset(Owner):
    """A data set, opened and never read whole. `len()` is its number of examples; `data[3]` and `data[10:20]` are examples in
    the files' order. Any number of threads may read one.

    path     a folder that `hrm data` made, with its splits in it
    split    "train" or "test"
    """

    _owned: Optional[Handle]

    def __init__(self, path: Path, split: str = "train"):
        pointer = ctypes.c_void_p()
        check(api.dataset_open(ctypes.byref(pointer), fspath(path), fspath(split), None))
        self._take(pointer, os.fsdecode(path))

    def _take(self, pointer: Any, path: Optional[str], *keep: Any) -> None:
        self._owned = Handle(pointer.value, api.dataset_close, *keep)
        info = api.dataset_describe(pointer).contents
        self.path = path  #: the folder; None of arrays
        self.seq_len: int = info.seq_len  #: tokens of a puzzle
        self.vocab_size: int = info.vocab_size  #: kinds of tokens
        self.num_puzzle_identifiers: int = info.num_puzzle_identifiers  #: rows that a puzzle table needs
        self.pad_id: int = info.pad_id
        self.blank_identifier_id: int = info.blank_identifier_id
        #: the label that means "ignored" in the files; in batches it is -100 already
        self.ignore_label_id: Optional[int] = None if info.ignore_label_id == -(2**31) else info.ignore_label_id
        self.total_groups: int = info.total_groups  #: an epoch visits each group once
        self.total_puzzles: int = info.total_puzzles
        self.mean_puzzle_examples: float = info.mean_puzzle_examples
        self._length: int = info.total_examples

    @classmethod
    def from_arrays(cls, inputs: Any, labels: Any, *, vocab_size: Optional[int] = None, puzzle_identifiers: Any = None,
                    num_puzzle_identifiers: Optional[int] = None, puzzle_indices: Any = None, group_indices: Any = None,
                    pad_id: int = 0, blank_identifier_id: int = 0, ignore_label_id: Optional[int] = None) -> "Dataset":
        """A data set of arrays of whole numbers.

        inputs, labels          [examples, seq_len] tokens, 0 to 255 (254 where a label is -100: ignored). Arrays of uint8 are
                                used as they are, so leave them as they are; others are copied
        vocab_size              [one more than the largest token]
        puzzle_identifiers      [puzzles] a row of the puzzle table each [all 0]
        num_puzzle_identifiers  [one more than the largest]
        puzzle_indices          [puzzles + 1] puzzle i has the examples from i's to i + 1's [each example is a puzzle]
        group_indices           [groups + 1] likewise of puzzles: variants of one another [each puzzle is a group]
        ignore_label_id         a label that is ignored, besides -100
        """
        x, y = np.asarray(inputs), np.asarray(labels)
        if x.ndim != 2 or x.shape != y.shape:
            raise ArgumentError("inputs %s and labels %s: expected the same [examples, seq_len]"
                                % (list(x.shape), list(y.shape)))
        ignored = y == IGNORED
        if ignored.any():
            if ignore_label_id is None:
                ignore_label_id = 255
            y = np.where(ignored, ignore_label_id, y)
        x, y = whole(x, "inputs", np.uint8), whole(y, "labels", np.uint8)
        if vocab_size is None:
            real = y[y != ignore_label_id] if ignore_label_id is not None else y
            vocab_size = max(int(a.max()) + 1 if a.size else 0 for a in (x, real))
        arrays = make("hrm_dataset_arrays", seq_len=x.shape[1], vocab_size=vocab_size, pad_id=pad_id, num_examples=x.shape[0],
                      blank_identifier_id=blank_identifier_id, inputs=x.ctypes.data, labels=y.ctypes.data,
                      has_ignore_label=int(ignore_label_id is not None), ignore_label_id=ignore_label_id or 0,
                      num_puzzle_identifiers=num_puzzle_identifiers or 0)
        keep = [x, y]
        puzzles = x.shape[0]
        for name, values, counts in (("puzzle_identifiers", puzzle_identifiers, ""),
                                     ("puzzle_indices", puzzle_indices, "num_puzzles"),
                                     ("group_indices", group_indices, "num_groups")):
            if values is None:
                continue
            array = whole(values, name, np.int32).copy()
            if array.ndim != 1 or array.size < (2 if counts else 1):
                raise ArgumentError("%s: shape %s, expected one number after the other" % (name, list(array.shape)))
            keep.append(array)
            setattr(arrays, name, array.ctypes.data)
            if counts:
                setattr(arrays, counts, array.size - 1)
            if name == "puzzle_indices":
                puzzles = array.size - 1
        if puzzle_identifiers is not None and keep[2].size != puzzles:
            raise ArgumentError("puzzle_identifiers: %d of them, expected %d, one a puzzle" % (keep[2].size, puzzles))
        data = cls.__new__(cls)
        pointer = ctypes.c_void_p()
        check(api.dataset_from_arrays(ctypes.byref(pointer), arrays, make("hrm_dataset_desc", check_tokens=1)))
        data._take(pointer, None, *keep)
        return data

    @property
    def _handle(self) -> Handle:
        if self._owned is None:
            raise ArgumentError("the data set is closed")
        return self._owned

    def __repr__(self) -> str:
        return "<hrm.Dataset: %d examples of %d tokens, vocabulary %d>" % (self._length, self.seq_len, self.vocab_size)

    def __len__(self) -> int:
        return self._length

    def _room(self, rows: int) -> Tuple[Batch, Any]:
        shape = (rows, self.seq_len)
        batch = Batch(np.empty(shape, np.int32), np.empty(shape, np.int32), np.empty(rows, np.int32))
        return batch, make("hrm_batch", rows=rows, inputs=batch.inputs.ctypes.data, labels=batch.labels.ctypes.data,
                           puzzle_identifiers=batch.puzzle_identifiers.ctypes.data)

    def __getitem__(self, index: Union[int, slice]) -> Batch:
        """Examples in the files' order, as a batch: `data[3]` has one row. A slice goes forward one by one."""
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            if step != 1:
                raise ArgumentError("a data set is read one example after the other: a step of %d" % step)
        else:
            start = index + self._length if index < 0 else index
            stop = start + 1
            if not 0 <= start < self._length:
                raise IndexError("example %d of %d" % (index, self._length))
        batch, into = self._room(max(0, stop - start))
        if stop > start:
            handle = self._handle
            check(api.dataset_read(handle.pointer, start, into))
        return batch

    def __iter__(self) -> Iterator[Batch]:
        return (self[i] for i in range(self._length))

    def batches(self, rows: int = 64) -> Iterator[Batch]:
        """All examples in the files' order, `rows` at a time; the last batch may have fewer."""
        if rows < 1:
            raise ArgumentError("rows is %d, expected 1 or more" % rows)
        return (self[i:i + rows] for i in range(0, self._length, rows))

    def training_batches(self, rows: int, *, seed: int = 0, epochs_per_iter: int = 1) -> Iterator[Batch]:
        """Batches as a trainer with that seed draws them, without end: a permutation of the groups an epoch, one random puzzle
        of each, of it at most as many examples as there is room for."""
        if rows < 1:
            raise ArgumentError("rows is %d, expected 1 or more" % rows)
        return self._draw(rows, seed, epochs_per_iter)

    def _draw(self, rows: int, seed: int, epochs_per_iter: int) -> Iterator[Batch]:
        position = make("hrm_position")
        while True:
            handle = self._handle
            batch, into = self._room(rows)
            status = api.dataset_next(handle.pointer, position, seed, epochs_per_iter, into, None)
            if status == END:
                return
            check(status)
            yield batch
