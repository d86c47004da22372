"""hrm.h from Python: Hierarchical Reasoning Models and their family, trained, evaluated and asked.

    import hrm
    m = hrm.load()                       # the Sudoku model that comes with it, or hrm.load("run/step_1000.safetensors")
    print(m.solve("53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"))

    data = hrm.Dataset("data/sudoku4")   # made by `hrm data`
    trainer = hrm.Trainer(data, arch="fast", hidden_size=64, steps=500, global_batch_size=64, lr=1e-3)
    trainer.train(lambda metrics: print(metrics.step, metrics.lm_loss), every=10)
    trainer.model.save("sudoku4.safetensors")

All arrays are NumPy's, row by row, batch first. Errors of the library are exceptions with its one-line message. The GIL is
released in its calls. docs/python.md is the manual.
"""
from ._config import ARCHS
from ._data import Batch, Dataset
from ._declarations import VERSION as __version__
from ._library import ArgumentError, DeviceError, Error, FileError, FormatError, NotFiniteError, OutOfMemoryError
from ._model import Metrics, Model, Segment, Solution, load
from ._text import Vocabulary
from ._train import Trainer

__all__ = ["ARCHS", "ArgumentError", "Batch", "Dataset", "DeviceError", "Error", "FileError", "FormatError", "Metrics", "Model",
           "NotFiniteError", "OutOfMemoryError", "Segment", "Solution", "Trainer", "Vocabulary", "load",
           "__version__"]

for _name in __all__:  # where they are found, for messages and help()
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
