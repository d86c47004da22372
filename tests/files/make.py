"""Makes the PyTorch files of this folder, as people's training code writes them; needs torch, numpy and omegaconf. In objects.pt the model
lies beside what a run keeps: none of it may keep the tensors from being read, and none of it may be called."""
import argparse, collections, decimal, os, pathlib
import numpy, omegaconf, torch

here = os.path.dirname(os.path.abspath(__file__))
os.chdir(here)
weights = {"w": torch.arange(6, dtype=torch.float32).reshape(2, 3)}
objects = {
    "dtype": torch.bfloat16, "set": {1, "a"}, "frozen": frozenset([1]), "bytes": b"abc", "array": bytearray(b"abc"), "big": 1 << 100, "huge": 1 << 2100,
    "args": argparse.Namespace(lr=1e-3, dtype=torch.float16, path=pathlib.PurePosixPath("/x")), "counts": collections.defaultdict(list, a=[1]),
    "config": omegaconf.OmegaConf.create({"arch": {"sizes": [1, {"a": 2}]}}), "function": os.getcwd, "class": decimal.Decimal, "number": decimal.Decimal("1.5"),
    "device": torch.device("cpu"), "size": torch.Size([1, 2]), "scalar": numpy.float64(1.5), 
    "float8": torch.ones(1).to(torch.float8_e4m3fn), "parameter": torch.nn.Parameter(torch.ones(1)),
    "transposed": torch.ones(2, 3).t()}
torch.save({**objects, "state_dict": weights}, "objects.pt", pickle_protocol=4)
torch.save(weights, "legacy.pt", _use_new_zipfile_serialization=False)
