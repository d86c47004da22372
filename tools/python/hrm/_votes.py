"""Votes: copies of a puzzle solved side by side, and the answer that they settle on. The copies are those of `hrm solve votes=N`."""
import collections
import ctypes
import math
from typing import Any, List, NamedTuple, Optional, Tuple

import numpy as np

from ._data import Bools, Floats, Ints
from ._library import ArgumentError, api

RULES = ("majority", "first", "best_q")
_MOST = 1024


class Copies(NamedTuple):
    """Copy k has in cell i the token rename[k, t] where the puzzle has t in cell cells[k, i]."""

    cells: Ints  #: [votes, seq_len]
    rename: Ints  #: [votes, vocab_size]

    def turn(self, puzzles: Ints) -> Ints:
        """[rows, seq_len] -> [rows * votes, seq_len]"""
        votes, seq_len = self.cells.shape
        turned = puzzles[:, self.cells]
        known = (turned >= 0) & (turned < self.rename.shape[1])  # others are the library's to refuse
        renamed = self.rename[np.arange(votes)[:, None], np.where(known, turned, 0)]
        return np.ascontiguousarray(np.where(known, renamed, turned).reshape(-1, seq_len), np.int32)

    def back(self, answers: Ints) -> Ints:
        """[rows * votes, seq_len], of the copies -> [rows, votes, seq_len], of the puzzles"""
        votes, seq_len = self.cells.shape
        answers = answers.reshape(-1, votes, seq_len)
        out = np.empty_like(answers)
        for k in range(votes):
            out[:, k, self.cells[k]] = np.argsort(self.rename[k]).astype(np.int32)[answers[:, k]]
        return out


def copies(votes: int, task: Optional[str], seq_len: int, vocab_size: int, start_noise: float) -> Copies:
    """The first is the puzzle itself. task: "sudoku", "maze", or None: the copies are equal."""
    if not 1 <= votes <= _MOST:
        raise ArgumentError("votes is %d, expected 1 to %d" % (votes, _MOST))
    most = {"sudoku": _MOST, "maze": 8}.get(task or "", 1)
    if votes > most and not start_noise > 0:
        raise ArgumentError("votes is %d, but " % votes + (
            "a maze has 8 symmetric copies, itself among them" if task == "maze" else
            "without a known symmetry copies are equal: start_noise=0.5 would make them differ"))
    side = math.isqrt(seq_len)
    cells = np.tile(np.arange(seq_len, dtype=np.int32), (votes, 1))
    rename = np.tile(np.arange(vocab_size, dtype=np.int32), (votes, 1))
    for k in range(1, votes):
        if task == "sudoku":
            cells[k], rename[k, 2:] = _sudoku(side, k)
        elif task == "maze":
            cells[k] = _turned(cells[0].reshape(side, side), k % 8).ravel()
    return Copies(cells, rename)


def _turned(grid: Ints, t: int) -> Any:
    """0 as it is, 1..3 quarter turns counter-clockwise, 4 left-right, 5 up-down, 6 transposed, 7 on the other diagonal."""
    return [grid, np.rot90(grid), np.rot90(grid, 2), np.rot90(grid, 3), np.fliplr(grid), np.flipud(grid), grid.T,
            np.rot90(grid, 2).T][t]


def _sudoku(side: int, k: int) -> Tuple[Ints, Ints]:
    """The k-th symmetry of the command: where each cell is from, and the tokens of the digits. Drawn in the order of
    tools/puzzles.h."""
    random = api.random_make(0, k)

    def shuffled(n: int) -> Ints:
        items = np.arange(n, dtype=np.int32)
        api.random_shuffle(ctypes.byref(random), items.ctypes.data, n)
        return items

    def axis(thickness: int) -> List[int]:
        bands = shuffled(side // thickness)
        return [int(band) * thickness + int(line) for band in bands for line in shuffled(thickness)]

    box_rows = 3 if side == 9 else 2
    digits = shuffled(side)
    transpose = box_rows == side // box_rows and bool(api.random_u32(ctypes.byref(random)) & 1)
    rows, columns = np.array(axis(box_rows)), np.array(axis(side // box_rows))
    cells = columns[None] * side + rows[:, None] if transpose else rows[:, None] * side + columns[None]
    return cells.astype(np.int32).ravel(), digits + 2


def count(answers: Ints, q_halt: Floats, halted: Bools, rule: str) -> Tuple[Ints, Ints]:
    """answers [rows, votes, seq_len], the others [rows, votes] -> of every row the copy whose answer is taken, and how many say
    the same."""
    if rule not in RULES:
        raise ArgumentError("vote is %r, expected %s" % (rule, " or ".join(RULES)))
    winner, agree = np.zeros(len(answers), np.int32), np.ones(len(answers), np.int32)
    for row in range(len(answers) if answers.shape[1] > 1 else 0):
        said = [a.tobytes() for a in answers[row]]
        times = collections.Counter(said)
        best = 0
        for k in range(len(said)):  # of as many, the one with the best q_halt; of as good ones, the first
            more = times[said[k]] - times[said[best]] if rule == "majority" else 0
            if more > 0 or (more == 0 and q_halt[row, k] > q_halt[row, best]):
                best = k
        if rule == "first" and halted[row].any():
            best = int(halted[row].argmax())
        winner[row], agree[row] = best, times[said[best]]
    return winner, agree
