"""The command's keys, `arch.hidden_size` and the like, into the library's descriptions and back."""
import difflib
import operator
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from . import _declarations as declared
from ._library import CODES, ArgumentError

MODEL: Dict[str, Any] = declared.MODEL_KEYS
TRAIN: Dict[str, Any] = declared.TRAIN_KEYS
ARCHS: Tuple[str, ...] = tuple(declared.ARCHS)  #: what `arch` may be

_DATA_KEYS = ("seq_len", "vocab_size", "num_puzzle_identifiers")  # of a model, but without the command's "arch."
_WORDS = {
    "arch": list(ARCHS),
    "device": ["cpu", "cuda"],
    "forward_dtype": ["float32", "bfloat16", "float16", "int8"],
    "cycles_dtype": ["forward", "fp8"],  # the enum's values, from 0
}
_NUMBERS: Dict[str, Dict[str, Any]] = {
    "threads": {"kind": "INT", "low": 0, "high": 1024},
    "seed": {"kind": "INT", "low": 0, "high": 2**53},
    "steps": {"kind": "INT", "low": 1, "high": 10**15},
    "epochs": {"kind": "FLOAT", "low": 0, "high": 1e15},
    "lr_warmup_steps": {"kind": "INT", "low": 0, "high": 10**9},
}
HERE = ("device", "threads", "forward_dtype", "cycles_dtype")  # where and how a model runs
MODEL_NAMES = ("arch", "seed") + HERE + tuple(MODEL)
TRAIN_NAMES = ("arch", "seed", "steps", "epochs", "lr_warmup_steps") + tuple(TRAIN)


def _names(key: str) -> List[str]:
    """How a model's key may be written: as the command does, without its "arch.", or by its last part."""
    return ["arch." + key, key, key.rpartition(".")[2]]


_CANONICAL = {name: key for key in tuple(MODEL) + ("forward_dtype", "cycles_dtype") for name in _names(key)}
_CANONICAL.update((key, key) for key in MODEL_NAMES + TRAIN_NAMES)


def gather(allowed: Tuple[str, ...], config: Optional[Mapping[str, Any]], keys: Mapping[str, Any]) -> Dict[str, Any]:
    """What a dictionary and keyword arguments (which win) say, by the keys' canonical names; None says nothing."""
    said: Dict[str, Any] = {}
    for source in (config or {}, keys):
        for name, value in source.items():
            key = _CANONICAL.get(name)
            if key not in allowed:
                known = [n for n, k in _CANONICAL.items() if k in allowed]
                close = difflib.get_close_matches(name, known, 1)
                raise ArgumentError("no key \"%s\" here%s" % (name, ": did you mean \"%s\"?" % close[0] if close else ""))
            if value is not None:
                said[key] = value
    return said


def _number(key: str, about: Mapping[str, Any], value: Any) -> float:
    try:
        if isinstance(value, str):
            value = float(value)
        if about["kind"] == "INT":
            number: float = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
        else:
            number = float(value)
    except (TypeError, ValueError):
        wanted = "a whole number" if about["kind"] == "INT" else "a number"
        raise ArgumentError("%s is %r, expected %s" % (key, value, wanted)) from None
    low = 0 if about.get("zero", about.get("field")) != about.get("field") else about["low"]  # 0 where a flag can say it
    if not low <= number <= about["high"]:
        form = "%s is %d, expected %d to %d" if about["kind"] == "INT" else "%s is %g, expected %g to %g"
        raise ArgumentError(form % (key, number, low, about["high"]))
    return number


def _word(key: str, words: List[str], value: Any) -> int:
    if value not in words:
        raise ArgumentError("%s is %r, expected %s" % (key, value, " or ".join(words)))
    return words.index(value)


def _flag(key: str, value: Any) -> bool:
    truth = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if truth is None:
        raise ArgumentError("%s is %r, expected True or False" % (key, value))
    return truth


def _put(desc: Any, key: str, about: Mapping[str, Any], value: Any) -> None:
    kind, field = about["kind"], about["field"]
    if kind == "WORD":
        setattr(desc, field, _word(key, about["words"], value))
    elif kind == "FLAG":
        setattr(desc, field, 1 if _flag(key, value) else -1)
    else:
        number = _number(key, about, value)
        setattr(desc, field, number)
        if about["zero"] != field:
            setattr(desc, about["zero"], int(number == 0))


def fill(desc: Any, table: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Sets the fields of a description: what `arch` names, then what was said. So a word that is a default, which in the
    library's own terms is a 0 and gives way to an arch's, is kept."""
    arch = said.get("arch", ARCHS[0])
    sets = dict(word.split("=") for word in declared.ARCHS[ARCHS[_word("arch", _WORDS["arch"], arch)]].split())
    for key, about in table.items():
        value = said.get(key, sets.get(about["field"]))
        if value is not None:
            _put(desc, key, about, value)


def fill_model(desc: Any, said: Mapping[str, Any]) -> None:
    fill(desc, MODEL, said)
    desc.seed = _number("seed", _NUMBERS["seed"], said.get("seed", 0))
    desc.num_threads = _number("threads", _NUMBERS["threads"], said.get("threads", 0))
    desc.device = _word("device", _WORDS["device"], said.get("device", "cpu"))
    desc.cycles_dtype = _word("cycles_dtype", _WORDS["cycles_dtype"], said.get("cycles_dtype", "forward"))
    if "forward_dtype" in said:
        word = _WORDS["forward_dtype"][_word("forward_dtype", _WORDS["forward_dtype"], said["forward_dtype"])]
        desc.forward_dtype = CODES["HRM_FORWARD_" + word.upper()]


def fill_training(desc: Any, said: Mapping[str, Any]) -> None:
    said = dict(said)
    if said.get("arch") == "fast":  # its recipe, as the library and the command have it
        if "epochs" not in said:
            said.setdefault("steps", 8000)
        said.setdefault("lr_warmup_steps", 0)
    fill(desc, TRAIN, said)
    for key in ("seed", "steps", "epochs", "lr_warmup_steps"):
        if key in said:
            setattr(desc, key, _number(key, _NUMBERS[key], said[key]))
    desc.no_warmup = int("lr_warmup_steps" in said and desc.lr_warmup_steps == 0)


def tell(desc: Any, table: Mapping[str, Any]) -> Dict[str, Any]:
    """The other way: every key of a resolved description with its value, by the command's names."""
    out: Dict[str, Any] = {}
    for key, about in table.items():
        value = getattr(desc, about["field"])
        if about["kind"] == "WORD":
            value = about["words"][value]
        elif about["kind"] == "FLAG":
            value = value > 0
        elif about["kind"] == "FLOAT":
            value = float(str(np.float32(value)))  # 0.1 rather than 0.10000000149
        out["arch." + key if table is MODEL and key not in _DATA_KEYS else key] = value
    return out
