"""Training."""
import ctypes
from dataclasses import asdict
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Union

from . import _config
from ._data import Dataset
from ._library import END, ArgumentError, Owner, Path, WorkHandle, api, check, fspath, make
from ._model import Metrics, Model


class Trainer(Owner):
    """Trains a model on a data set, one update a step, each on one segment of `global_batch_size` puzzles.

    data      a data set, or the folder of one, whose train split is taken
    config    a dictionary of the command's keys: {"steps": 1000, "global_batch_size": 32, "lr": 1e-3}
    model     what is trained [a new one for the data, whose keys stand among the others]
    keys      the command's keys as keyword arguments; they win

    docs/options.md lists the keys. Defaults are the library's: those of the command, but for epochs [1000] and
    lr_warmup_steps [2000, at most a tenth of steps].

    Interrupted (KeyboardInterrupt) the trainer stands after a whole step, and can be saved or gone on with.
    """

    _owned: Optional[WorkHandle]
    model: Model  #: what is trained; it can be solved with and evaluated between steps
    data: Dataset

    def __init__(self, data: Union[Dataset, Path], config: Optional[Mapping[str, Any]] = None, *,
                 model: Optional[Model] = None, **keys: Any):
        self.data = data if isinstance(data, Dataset) else Dataset(data, "train")
        names = _config.TRAIN_NAMES + (_config.MODEL_NAMES if model is None else ())
        said = _config.gather(names, config, keys)
        self.model = model if model is not None else Model(
            self.data, {k: v for k, v in said.items() if k in _config.MODEL_NAMES})
        desc = make("hrm_train_desc")
        _config.fill_training(desc, said)
        handle, pointer = self.model._handle, ctypes.c_void_p()
        check(handle.call(api.trainer_create, ctypes.byref(pointer), handle.pointer, desc))
        self._owned = WorkHandle(pointer.value or 0, api.trainer_destroy, handle, self.data._handle)

    @property
    def _handle(self) -> WorkHandle:
        if self._owned is None:
            raise ArgumentError("the trainer is closed")
        return self._owned

    def __repr__(self) -> str:
        return "<hrm.Trainer: %d of %s steps done>" % (self.steps_done, self.steps_total or "?")

    @property
    def steps_done(self) -> int:
        """Updates so far."""
        return int(api.trainer_steps_done(self._handle.pointer))

    @property
    def steps_total(self) -> int:
        """Updates in all; 0 until the first step when epochs were given."""
        return int(api.trainer_steps_total(self._handle.pointer))

    @property
    def config(self) -> Dict[str, Any]:
        """Every key of training with its value, defaults filled in."""
        desc = api.trainer_describe(self._handle.pointer).contents
        told = _config.tell(desc, _config.TRAIN)
        told.update(seed=desc.seed, lr_warmup_steps=desc.lr_warmup_steps)
        told.update({"steps": desc.steps} if desc.steps else {"epochs": desc.epochs})
        return told

    def step(self) -> Optional[Metrics]:
        """One update; its metrics, or None once all steps are done."""
        handle, metrics = self._handle, make("hrm_metrics")
        _, source = handle.keep
        status = handle.model.call(api.trainer_step, handle.pointer, source.pointer, metrics)
        if status == END:
            return None
        check(status)
        return Metrics._of(metrics)

    def __iter__(self) -> Iterator[Metrics]:
        """One update after the other, to the end."""
        return iter(self.step, None)

    def train(self, callback: Optional[Callable[[Metrics], Any]] = None, *, steps: Optional[int] = None,
              every: int = 1) -> Optional[Metrics]:
        """Trains to the end, or so many `steps`; the metrics told last, None when there was nothing left to do.

        callback  called with the metrics, means over the last `every` steps; False from it ends the training. What it raises
                  goes through. In it the model may be evaluated and saved.

        With `ema` the model has its averaged weights afterwards; a further step changes them back.
        """
        if every < 1:
            raise ArgumentError("every is %d, expected 1 or more" % every)
        told: Optional[Metrics] = None
        total, summed, done = make("hrm_metrics"), 0, 0
        while steps is None or done < steps:
            metrics = self.step()
            if metrics is not None:
                api.metrics_add(total, make("hrm_metrics", **asdict(metrics)))
                summed, done = summed + 1, done + 1
            if summed and (metrics is None or summed == every or done == steps):
                told = Metrics._of(total)
                total, summed = make("hrm_metrics"), 0
                if callback is not None and callback(told) is False:
                    break
            if metrics is None:
                break
        if self.config["ema"]:
            self.use_average()
        return told

    def use_average(self, on: bool = True) -> None:
        """The model's weights become their average, for evaluating and saving, or what is being trained; the next step changes
        them back. Only with `ema`."""
        handle = self._handle
        check(handle.model.call(api.trainer_use_average, handle.pointer, int(on)))

    def save(self, path: Path, *, metadata: Optional[Mapping[str, str]] = None) -> None:
        """Writes all that is needed to go on as if never stopped, in one file: weights, moments, carry, position in the data.
        The weights alone, for solving, are `trainer.model.save`."""
        pairs, count = self.model._metadata(metadata)
        handle = self._handle
        check(handle.model.call(api.trainer_save, handle.pointer, fspath(path), pairs, count))

    def load(self, path: Path) -> None:
        """Goes on from a file that a trainer with the same keys has saved."""
        handle = self._handle
        check(handle.model.call(api.trainer_load, handle.pointer, fspath(path)))
