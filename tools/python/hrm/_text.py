"""Puzzles as people write them: what each token stands for."""
import json
import math
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ._data import Ints
from ._library import ArgumentError, FormatError

_RULING = " \t|-+=,"  # of a drawn board: passed over where it is no token
_MAZE = "# SGo"
Span = Tuple[int, int, int]  # a cell's number, and where in the text it starts and ends


class Vocabulary:
    """What each token stands for, and how puzzles are written with it.

    tokens   a text each, characters or words, from token 1 on: 0 is padding
    rows, columns   of the largest grid, to whose top left smaller ones are put; 0: cells follow one another, and the lines that
                    a board is drawn with do not count
    """

    def __init__(self, tokens: Sequence[str], rows: int = 0, columns: int = 0):
        self.tokens, self.rows, self.columns = tuple(tokens), rows, columns
        for i, token in enumerate(self.tokens):
            if not isinstance(token, str) or not token:
                raise ArgumentError("token %d of the vocabulary is %r, expected a text" % (i + 1, token))
            if token in self.tokens[:i]:
                raise ArgumentError("token %d of the vocabulary is there twice: %r" % (i + 1, token))
        self.text: Optional[str] = None  #: of the vocabulary.json that it is from, and that checkpoints carry
        self.task: Optional[str] = None  #: "sudoku" or "maze", whose symmetries are known; else None
        self.words = any(len(t) > 1 for t in tokens)
        self._numbers: Dict[str, int] = {t: i + 1 for i, t in enumerate(tokens)}

    @classmethod
    def parse(cls, text: str, where: str) -> "Vocabulary":
        """A data set's vocabulary.json, or what a checkpoint has of it."""
        try:
            told = json.loads(text)
            vocabulary = cls([str(t) for t in told["tokens"][1:]], int(told["rows"]), int(told["columns"]))
        except (ValueError, LookupError, TypeError) as e:
            raise FormatError("%s: no vocabulary: %r" % (where, e)) from None
        vocabulary.text = text
        return vocabulary

    @classmethod
    def guess(cls, seq_len: int, vocab_size: int) -> Optional["Vocabulary"]:
        """Of a Sudoku of size 4, 6 or 9, or of a maze, as `hrm data` makes them; None: another task."""
        side = math.isqrt(seq_len)
        if side * side != seq_len:
            return None
        sudoku = side in (4, 6, 9) and vocab_size == side + 2
        if not sudoku and vocab_size != len(_MAZE) + 1:
            return None
        vocabulary = cls("." + "123456789"[:side] if sudoku else _MAZE)
        vocabulary.task = "sudoku" if sudoku else "maze"
        for other, same in {"0": ".", "_": ".", "*": "."}.items() if sudoku else {".": " ", "o": " "}.items():
            vocabulary._numbers[other] = vocabulary._numbers[same]  # blanks; a path already drawn is to be found anew
        return vocabulary

    def __repr__(self) -> str:
        return "<hrm.Vocabulary: %s>" % (" " if self.words else "").join(self.tokens)

    def encode(self, text: str, seq_len: int) -> Tuple[Ints, List[Span]]:
        """Tokens [seq_len], and where in the text their cells are."""
        lines: List[List[Tuple[int, int, int]]] = []
        start = 0
        for number, line in enumerate(text.split("\n"), 1):
            cells = []
            for m in re.finditer(r"\S+" if self.words else ".", line.rstrip("\r")):
                token = self._numbers.get(m.group())
                if token is not None:
                    cells.append((token, start + m.start(), start + m.end()))
                elif m.group() not in (" \t" if self.rows else _RULING):
                    raise ArgumentError("line %d of the puzzle: \"%s\" is none of %s"
                                        % (number, m.group(), " ".join(self.tokens)))
            if cells:
                lines.append(cells)
            start += len(line) + 1
        if self.rows:
            if self.rows * self.columns != seq_len:
                raise ArgumentError("a vocabulary of grids of %d x %d, but the model's have %d cells"
                                    % (self.rows, self.columns, seq_len))
            widest = max(map(len, lines), default=0)
            if len(lines) > self.rows or widest > self.columns or any(len(cells) != widest for cells in lines):
                raise ArgumentError("the puzzle has %d rows of %d to %d cells, expected equal ones, at most %d x %d" % (
                    len(lines), min(map(len, lines), default=0), widest, self.rows, self.columns))
        else:
            lines = [[cell for cells in lines for cell in cells]]
            if len(lines[0]) != seq_len:
                raise ArgumentError("the puzzle has %d cells, expected %d" % (len(lines[0]), seq_len))
        out, spans = np.zeros(seq_len, np.int32), []
        for r, cells in enumerate(lines):
            for c, (token, first, end) in enumerate(cells):
                out[r * self.columns + c] = token
                spans.append((r * self.columns + c, first, end))
        return out, spans

    def decode(self, answer: Ints, text: str, spans: List[Span]) -> str:
        """The text with the answer's cells in the places of the puzzle's; "?" where that is no token."""
        out, at = [], 0
        for cell, first, end in spans:
            token = int(answer[cell])
            out += [text[at:first], self.tokens[token - 1] if 1 <= token <= len(self.tokens) else "?"]
            at = end
        return "".join(out) + text[at:]


def vocabulary_of(value: Any) -> Optional[Vocabulary]:
    """What a user sets: a vocabulary, a text of characters, a list of words, or None."""
    return value if value is None or isinstance(value, Vocabulary) else Vocabulary(value)
