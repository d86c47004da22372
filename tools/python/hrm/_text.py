"""Puzzles as people write them: which character is which token."""
import math
from typing import Dict, List, Optional, Tuple

import numpy as np

from ._data import Ints
from ._library import ArgumentError

_RULING = set(" \t\r\n|-+=,")  # of a drawn board: passed over where it is no token
_ALIASES: Dict[str, str] = {"0": ".", "_": ".", "*": "."}  # blanks of a Sudoku
_MAZE = "\0# SGo"


def guess(seq_len: int, vocab_size: int) -> Optional[str]:
    """The vocabulary of a Sudoku of size 4, 6 or 9, or of a maze, as `hrm data` makes them; None: another task."""
    side = math.isqrt(seq_len)
    if side * side != seq_len:
        return None
    if side in (4, 6, 9) and vocab_size == side + 2:
        return "\0." + "123456789"[:side]
    return _MAZE if vocab_size == len(_MAZE) else None


def encode(text: str, vocabulary: str, seq_len: int) -> Tuple[Ints, List[int]]:
    """Tokens [seq_len], and where in the text each stands."""
    token = {c: i for i, c in enumerate(vocabulary) if c != "\0"}
    aliases = _ALIASES if vocabulary.startswith("\0.1") else {".": " ", "o": " "} if vocabulary == _MAZE else {}
    token.update((a, token[c]) for a, c in aliases.items())
    values, places = [], []
    for i, c in enumerate(text):
        if c in token:
            values.append(token[c])
            places.append(i)
        elif c not in _RULING:
            line = text.count("\n", 0, i) + 1
            raise ArgumentError("line %d of the puzzle: \"%s\" is none of \"%s\"" % (line, c, vocabulary.replace("\0", "")))
    if len(values) != seq_len:
        raise ArgumentError("the puzzle has %d cells, expected %d" % (len(values), seq_len))
    return np.array(values, np.int32), places


def decode(answer: Ints, vocabulary: str, text: str, places: List[int]) -> str:
    """The text with the answer's cells in the places of the puzzle's."""
    out = list(text)
    for token, place in zip(answer.tolist(), places):
        c = vocabulary[token] if token < len(vocabulary) else "\0"
        out[place] = "?" if c == "\0" else c
    return "".join(out)
