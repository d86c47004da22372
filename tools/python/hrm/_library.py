"""hrm.h's functions and structs through ctypes, its statuses as exceptions, and who destroys what.

All of the interface is in `_declarations`, which was read out of the header when the package was built.
"""
import contextlib
import ctypes
import os
import signal
import sys
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional, Type, Union

from . import _declarations as declared

Path = Union[str, "os.PathLike[str]"]
FOLDER = os.path.dirname(os.path.abspath(__file__))
LIBRARY = os.path.join(FOLDER, "libhrm" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so"))
_dll = ctypes.CDLL(LIBRARY)

# ---- types ---------------------------------------------------------------------------------------------------------------
SCALARS: Dict[str, Any] = {
    "char": ctypes.c_char, "unsigned char": ctypes.c_ubyte, "int": ctypes.c_int, "unsigned": ctypes.c_uint,
    "size_t": ctypes.c_size_t, "uint8_t": ctypes.c_uint8, "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64, "float": ctypes.c_float, "double": ctypes.c_double,
    "hrm_real": ctypes.c_float,
}
SCALARS.update((name, ctypes.c_int) for name in declared.ENUMS)
STRUCTS: Dict[str, Any] = {name: type(name, (ctypes.Structure,), {}) for name in declared.STRUCTS}


def ctype(kind: Any) -> Any:
    """The ctypes type of a C type as `_declarations` has it."""
    if isinstance(kind, tuple):
        return ctypes.CFUNCTYPE(ctype(kind[0]), *map(ctype, kind[1]))
    words = [w for w in kind.split() if w != "const"]
    stars, base = words.count("*"), " ".join(w for w in words if w != "*")
    if stars == 0:
        return None if base == "void" else STRUCTS[base] if base in STRUCTS else SCALARS[base]
    if stars == 1 and base == "char":
        return ctypes.c_char_p
    return ctypes.POINTER(STRUCTS[base]) if stars == 1 and base in STRUCTS else ctypes.c_void_p


for _name, _fields in declared.STRUCTS.items():
    STRUCTS[_name]._fields_ = [(f, ctype(kind) * length if length else ctype(kind)) for f, kind, length in _fields]

CODES: Dict[str, int] = {name: value for names in declared.ENUMS.values() for value, name in enumerate(names)}


def function(name: str) -> Callable[..., Any]:
    """A function of the library; the GIL is released while it runs."""
    result, arguments = declared.FUNCTIONS[name]
    f = getattr(_dll, name)
    f.restype, f.argtypes = ctype(result), [ctype(a) for a in arguments]
    return f  # type: ignore[no-any-return]


class _Functions:
    def __getattr__(self, name: str) -> Callable[..., Any]:
        f = function("hrm_" + name)
        setattr(self, name, f)
        return f


api = _Functions()  # api.solve is hrm_solve


def make(struct: str, **fields: Any) -> Any:
    """A struct of the library, 0 but for these fields."""
    return STRUCTS[struct](**fields)


# ---- errors --------------------------------------------------------------------------------------------------------------
class Error(Exception):
    """What the library refused or failed at, in one line that names the file, tensor, row or field."""

    status: str = ""  #: the library's name for the kind of error, such as "HRM_ERR_SHAPE"


class ArgumentError(Error, ValueError):
    """A value, shape or key that is not valid."""


class FormatError(Error, ValueError):
    """A file that is not a valid one of its kind."""


class FileError(Error, OSError):
    """Reading or writing failed."""


class NotFiniteError(Error, ArithmeticError):
    """A loss, a gradient or a weight is not finite."""


class OutOfMemoryError(Error, MemoryError):
    """There is no memory for it."""


class DeviceError(Error, RuntimeError):
    """The device failed, is not there, or is not in this build of the library."""


_ERRORS: Dict[str, Type[Error]] = {
    "HRM_ERR_ARGUMENT": ArgumentError, "HRM_ERR_SHAPE": ArgumentError, "HRM_ERR_RANGE": ArgumentError,
    "HRM_ERR_FORMAT": FormatError, "HRM_ERR_IO": FileError, "HRM_ERR_NAN": NotFiniteError,
    "HRM_ERR_MEMORY": OutOfMemoryError, "HRM_ERR_DEVICE": DeviceError, "HRM_ERR_UNSUPPORTED": DeviceError,
}
OK, END, CANCELLED = CODES["HRM_OK"], CODES["HRM_END"], CODES["HRM_ERR_CANCELLED"]


def check(status: int) -> None:
    """Raises what a status other than HRM_OK tells, with the message of this thread's last failure."""
    if status != OK:
        name = declared.ENUMS["hrm_status"][status]
        error = _ERRORS.get(name, Error)(api.error_message().decode("utf-8", "replace"))
        error.status = name
        raise error


# ---- objects -------------------------------------------------------------------------------------------------------------
class Handle:
    """One object of the library, destroyed when its handle and all who hold it are gone: a trainer holds its model. Who is last
    is counted, for when a circle of objects is collected Python calls their finalizers in any order. (In a list, since adding
    to one and taking from it are whole operations for any thread.)"""

    def __init__(self, pointer: int, destroy: Callable[[Any], None], *keep: Any):
        self.pointer, self.destroy, self.keep = pointer, destroy, keep
        self.holds = [True]  # the handle's own, which is taken last
        for other in keep:
            if isinstance(other, Handle):
                other.holds.append(False)

    def release(self) -> None:
        if self.holds.pop():
            self.end()

    def end(self) -> None:
        self.destroy(self.pointer)
        for other in self.keep:
            if isinstance(other, Handle):
                other.release()

    def __reduce__(self) -> Any:
        raise TypeError("an object of the library cannot be pickled or copied: save it to a file and load it")

    def __del__(self) -> None:
        self.release()


class ModelHandle(Handle):
    """A model. One call at a time works on it, its runs and its trainers; others wait for their turn."""

    def __init__(self, pointer: int):
        super().__init__(pointer, api.model_destroy)
        self.lock, self.thread = threading.Lock(), 0
        self.retired: List[Callable[[], None]] = []  # ends of runs and trainers that were let go of during a call

    def call(self, f: Callable[..., int], *arguments: Any) -> int:
        me = threading.get_ident()
        if self.thread == me and self.lock.locked():
            raise RuntimeError("the model is at work: it cannot be used inside a call of its own")
        try:
            with self.lock:
                try:
                    self.thread = me
                    return f(*arguments)
                finally:
                    self.thread = 0
        finally:
            self.clear()

    def clear(self) -> None:
        while self.retired and self.lock.acquire(False):
            try:
                while self.retired:
                    self.retired.pop()()
            finally:
                self.lock.release()


class WorkHandle(Handle):
    """A run or a trainer of a model, destroyed in a turn of its own."""

    def __init__(self, pointer: int, destroy: Callable[[Any], None], model: ModelHandle, *keep: Any):
        super().__init__(pointer, destroy, model, *keep)
        self.model = model

    def end(self) -> None:
        self.model.retired.append(super().end)
        self.model.clear()


class Owner:
    """What has a handle until it is closed."""

    _owned: Optional[Handle] = None

    def close(self) -> None:
        """Lets go of the object. Its memory is freed once nothing that was made from it is in use."""
        self._owned = None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


@contextlib.contextmanager
def interrupts_later() -> Iterator[List[Any]]:
    """Inside, an interrupt is put into the list instead of being raised, which a callback from the library could not pass on.
    It comes at the end. Only the main thread is interrupted."""
    noted: List[Any] = []
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(before):
        yield noted
        return
    signal.signal(signal.SIGINT, lambda *args: noted.append(args))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
    if noted:
        before(*noted[0])


def fspath(path: Path) -> bytes:
    name = os.fsencode(path)
    if b"\0" in name:
        raise ArgumentError("a path with a zero byte: %r" % path)
    return name
