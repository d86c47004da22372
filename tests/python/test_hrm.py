"""The package as people use it, on models that are tiny. Works in the folder that test_python.sh has filled."""
import contextlib
import gc
import json
import os
import pickle
import signal
import sys
import threading
import time
import unittest
import weakref

import numpy as np

import hrm
from hrm import _library

TINY = dict(hidden_size=16, num_heads=2, H_layers=1, L_layers=1, halt_max_steps=3, threads=1)
BOARD9 = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


def boards(n, seed=0):
    return np.random.default_rng(seed).integers(1, 6, (n, 16))


class Messages(unittest.TestCase):
    @contextlib.contextmanager
    def refused(self, error, *texts):
        with self.assertRaises(error) as caught:
            yield
        for text in texts:
            self.assertIn(text, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))
        self.caught = caught.exception


class TestPackage(Messages):
    def test_what_is_installed(self):
        self.assertTrue(hrm.__file__.startswith(sys.prefix))
        folder = os.path.dirname(hrm.__file__)
        for name in ("py.typed", "models/sudoku.safetensors", os.path.basename(_library.LIBRARY)):
            self.assertTrue(os.path.exists(os.path.join(folder, name)), name)
        with open(os.environ["HRM_HEADER"], encoding="utf-8") as f:
            self.assertIn('#define HRM_VERSION        "%s"' % hrm.__version__, f.read())

    def test_shipped_model(self):
        answer = hrm.load(threads=1).solve(BOARD9)
        self.assertEqual(len(answer), 81)
        self.assertLessEqual(set(answer), set("?.123456789"))
        os.environ["HRM_MODELS"] = "data"
        try:
            with self.refused(hrm.FileError, "no sudoku.safetensors in data"):
                hrm.load()
            os.environ["HRM_MODELS"] = os.path.join(os.path.dirname(hrm.__file__), "models")
            self.assertEqual(hrm.load(threads=1).solve(BOARD9), answer)
        finally:
            del os.environ["HRM_MODELS"]

    def test_errors(self):
        with self.refused(hrm.FileError, "nowhere.safetensors"):
            hrm.load("nowhere.safetensors")
        self.assertIsInstance(self.caught, (OSError, hrm.Error))
        self.assertEqual(self.caught.status, "HRM_ERR_IO")
        with open("garbage.safetensors", "wb") as f:
            f.write(b"garbage" * 100)
        with self.refused(hrm.FormatError, "garbage.safetensors"):
            hrm.load("garbage.safetensors")
        os.makedirs("kept/step_30", exist_ok=True)
        hrm.Model(seq_len=16, vocab_size=6, **TINY).save("kept/model.safetensors")
        self.assertEqual(hrm.load("kept").seq_len, 16)
        hrm.Model(seq_len=16, vocab_size=6, **TINY).save("kept/step_20.safetensors")
        self.assertEqual(hrm.load("kept").seq_len, 16)
        with self.refused(hrm.FileError, "data", "step_N"):
            hrm.load("data")
        with self.refused(ValueError, "hiden_size", 'did you mean "hidden_size"'):
            hrm.Model(seq_len=16, vocab_size=6, hiden_size=3)
        for keys, text in ((dict(hidden_size=0), "hidden_size is 0, expected 1 to 65536"),
                           (dict(hidden_size=1.5), "whole number"), (dict(hidden_size="many"), "whole number"),
                           (dict(dropout=2), "dropout is 2, expected 0 to 0.99"),
                           (dict(loss_type="mse"), "softmax_cross_entropy"), (dict(mlp_t="perhaps"), "True or False"),
                           (dict(arch="faster"), "hrm_v1 or trm"), (dict(device="tpu"), "cpu or cuda"),
                           (dict(hidden_size=10, num_heads=3), "num_heads")):
            with self.refused(hrm.ArgumentError, text):
                hrm.Model(**{"seq_len": 16, "vocab_size": 6, **keys})
        with self.refused(hrm.ArgumentError, "hidden_size is 16", "32"):
            hrm.load("nine/step_1.safetensors", hidden_size=32)
        with self.refused(hrm.ArgumentError, "zero byte"):
            hrm.load("a\0b")
        m = hrm.Model(seq_len=16, vocab_size=6, **TINY)
        with self.refused(hrm.NotFiniteError, "inner.lm_head.weight"):
            m.load_state_dict({"inner.lm_head.weight": np.full((6, 16), np.nan)})


class TestModel(Messages):
    @classmethod
    def setUpClass(cls):
        cls.m = hrm.Model(seq_len=16, vocab_size=6, seed=3, **TINY)

    def test_config(self):
        m = self.m
        self.assertEqual((m.seq_len, m.vocab_size, m.hidden_size, m.halt_max_steps, m.puzzle_positions), (16, 6, 16, 3, 1))
        self.assertEqual(m.config["arch.num_heads"], 2)
        self.assertEqual(m.config["arch.loss.loss_type"], "stablemax_cross_entropy")
        self.assertEqual(m.config["arch.halt_exploration_prob"], 0.1)
        self.assertEqual(hrm.Model(config=m.config).config, m.config)
        self.assertEqual(m.parameters, sum(v.size for k, v in m.state_dict().items()
                                           if not k.endswith("_init") and "puzzle" not in k))
        # zero where it is meant, words that are defaults against an arch, numbers as texts, keys by any of their names
        f = hrm.Model(config={"arch": "fast", "arch.loss.label_smoothing": 0, "loss.loss_type": "stablemax_cross_entropy",
                              "mlp_norm": False, "rms_norm_eps": "1e-4"}, seq_len=16, vocab_size=6, hidden_size=16, num_heads=2)
        c = f.config
        self.assertEqual((c["arch.loss.label_smoothing"], c["arch.loss.loss_type"], c["arch.mlp_norm"], c["arch.mlp_t"],
                          c["arch.H_layers"], c["arch.rms_norm_eps"]), (0, "stablemax_cross_entropy", False, True, 0, 1e-4))
        self.assertEqual(hrm.Model(config=c).config, c)
        self.assertEqual(len({str(hrm.Model(seq_len=16, vocab_size=6, arch=a, hidden_size=16, num_heads=2, threads=1).config)
                              for a in hrm.ARCHS}), len(hrm.ARCHS))

    def test_solve(self):
        x, m = boards(9), self.m
        a = m.solve(x)
        self.assertEqual((a.shape, a.dtype), ((9, 16), np.int32))
        for same in (m.solve(x.astype(np.uint8)), m.solve(x, batch_size=2), m.solve(np.asfortranarray(x)), m.solve(x.tolist()),
                     m.solve(np.repeat(x, 2, 0)[::2]), np.stack([m.solve(row) for row in x])):
            np.testing.assert_array_equal(a, same)
        s = m.solve(x, details=True, halt="full")
        self.assertEqual((s.segments.tolist(), s.q_halt.shape, s.halted.dtype), ([3] * 9, (9,), np.bool_))
        self.assertEqual(m.solve(x, details=True, halt="full", halt_max_steps=5).segments.tolist(), [5] * 9)
        noisy = [m.solve(x[:4], start_noise=1.0, copies=2, noise_seed=5, batch_size=b) for b in (1, 4)]
        np.testing.assert_array_equal(*noisy)
        self.assertEqual(m.solve(x[:0]).shape, (0, 16))
        for bad, text in ((x[:, :9], "[9, 9], expected [rows, 16]"), (x * 1.0, "float64"), (x + 9, "token"), (x - 9, "token"),
                          (x[None], "expected [rows, 16]"), (x + 2**40, "values from")):
            with self.refused(hrm.ArgumentError, text):
                m.solve(bad)
        for keys in (dict(halt="never"), dict(halt_max_steps=0), dict(halt_max_steps=2**31), dict(batch_size=0),
                     dict(copies=0), dict(puzzle_identifiers=[0]),
                     dict(puzzle_identifiers=[1] * 9), dict(start_noise=-1.0)):
            with self.refused(hrm.ArgumentError):
                m.solve(x, **keys)

    def test_texts(self):
        m = self.m
        flat = "341.2.4..23...24"
        drawn = "3 4|1 .\n2 .|4 .\n---+---\n. 2|3 .\n. .|2 4"
        answer = m.solve(flat)
        self.assertEqual(len(answer), 16)
        tokens = m.solve(np.array([5 if c == "4" else "?.1234".index(c) for c in flat]))
        self.assertEqual(answer, "".join("?.1234"[t] for t in tokens))
        out = m.solve(drawn)
        self.assertEqual(out[:3].replace(" ", ""), answer[:2])
        self.assertEqual([c for c in out if c in "|\n+-"], [c for c in drawn if c in "|\n+-"])
        self.assertEqual(m.solve([flat, flat.replace(".", "0")]), [answer] * 2)
        for bad, text in (("12", "2 cells, expected 16"), ("x" * 16, 'line 1 of the puzzle: "x"'),
                          ("5" * 16, '"5" is none of')):
            with self.refused(hrm.ArgumentError, text):
                m.solve(bad)
        maze = hrm.Model(seq_len=25, vocab_size=6, **TINY)
        lines = "#####\n#S G#\n# # #\n#.o #\n#####"
        self.assertEqual([len(line) for line in maze.solve(lines).split("\n")], [5] * 5)
        other = hrm.Model(seq_len=5, vocab_size=4, **TINY)
        with self.refused(hrm.ArgumentError, "set its vocabulary"):
            other.solve("abcab")
        other.vocabulary = "abc"
        self.assertLessEqual(set(other.solve("ab cab")), set("?abc "))
        for bad, text in (("aab", "token 2 of the vocabulary is there twice: 'a'"), (["x", ""], "token 2 of the vocabulary is ''"),
                          (["x", 1], "token 2 of the vocabulary is 1")):
            with self.refused(hrm.ArgumentError, text):
                other.vocabulary = bad
        other.vocabulary = ["one", "two", "three"]
        self.assertEqual(len(other.solve("one  two three\none one").split()), 5)

    def test_votes(self):
        for task, folder, puzzles, votes, halt in (("sudoku", "four", "boards.txt", 7, "adaptive"), ("maze", "maze", "mazes.txt", 8, "full")):
            with open(puzzles) as f:
                texts = f.read().split("\n")[:-1]
            m = hrm.load(folder, threads=1)
            seen = set()
            for rule in ("majority", "first", "best_q"):
                s = m.solve(texts, votes=votes, vote=rule, halt=halt, details=True)
                with open("votes_%s_%s.json" % (task, rule)) as f:
                    said = [json.loads(line) for line in f]
                self.assertEqual([a.replace("?", "." if task == "sudoku" else "?") for a in s.answers], [o["answer"] for o in said])
                for name, values in (("agree", s.agree), ("segments", s.segments), ("halted", s.halted)):
                    self.assertEqual(values.tolist(), [o[name] for o in said], (task, rule, name))
                np.testing.assert_allclose(s.q_halt, [o["q_halt"] for o in said], rtol=1e-4, atol=1e-5)
                self.assertEqual(m.solve(texts, votes=votes, vote=rule, halt=halt, batch_size=1), s.answers)
                seen.update(s.agree.tolist())
            self.assertGreater(len(seen | {votes}), 1, task)  # copies do differ
        one = m.solve(texts[0], votes=8, details=True)
        self.assertEqual((type(one.answers), one.agree.shape), (str, (1,)))
        self.assertEqual(m.solve(texts, details=True).agree.tolist(), [1, 1])
        self.assertEqual(self.m.solve(np.ones((0, 16), np.int32), votes=3).shape, (0, 16))
        x = np.random.default_rng(1).integers(1, 6, (2, 25))
        np.testing.assert_array_equal(m.solve(x, votes=8)[1], m.solve(x[1], votes=8))
        for keys, text in ((dict(votes=9), "a maze has 8 symmetric copies"), (dict(votes=0), "expected 1 to 1024"),
                           (dict(votes=2, copies=2), "votes makes its own copies"), (dict(vote="most"), "majority or first or best_q"),
                           (dict(noise_seed=-1), "expected 0 to"), (dict(noise_seed=2 ** 64), "expected 0 to")):
            with self.refused(hrm.ArgumentError, text):
                m.solve(x, **keys)
        with self.refused(hrm.ArgumentError, "token"):
            m.solve(x + 9, votes=2)
        with self.refused(hrm.ArgumentError, "without a known symmetry copies are equal"):
            m.solve(x, votes=2, symmetric=False)
        np.testing.assert_array_equal(m.solve(x, votes=9, symmetric=False, start_noise=1e-9, details=True).agree, [9, 9])
        own = hrm.load("own", threads=1)
        with self.refused(hrm.ArgumentError, "without a known symmetry copies are equal: start_noise"):
            own.solve("#..\n.#.", votes=4)
        self.assertEqual(own.solve("#..\n.#.", votes=4, start_noise=2.0, details=True).agree.shape, (1,))
        noisy = [own.solve(np.ones((2, 6), np.int32), votes=4, start_noise=2.0, noise_seed=n, details=True).q_halt[0] for n in (1, 1, 2)]
        self.assertEqual(noisy[0], noisy[1])
        self.assertNotEqual(noisy[0], noisy[2])

    def test_own_task(self):
        d = hrm.Dataset("data/mine")
        m = hrm.Model(d, **TINY)
        self.assertEqual((m.vocabulary.rows, m.vocabulary.columns, m.vocabulary.tokens), (2, 3, ("#", ".", "o")))
        m.save("own.safetensors")
        n = hrm.load("own.safetensors", threads=1)
        self.assertEqual(n.vocabulary.text, m.vocabulary.text)
        self.assertEqual(hrm.load("own").vocabulary.text, m.vocabulary.text)  # by the command
        out = n.solve("#..\n\n.#.\n")
        self.assertEqual([len(line) for line in out.split("\n")], [3, 0, 3, 0])
        tokens = n.solve(np.array([1, 2, 2, 2, 1, 2]))
        self.assertEqual(out.replace("\n", ""), "".join("?#.o"[t] for t in tokens))
        small = n.solve("#.\n..")  # at the top left of the largest
        tokens = n.solve(np.array([1, 2, 0, 2, 2, 0]))
        self.assertEqual(small.replace("\n", ""), "".join("?#.o"[tokens[i]] for i in (0, 1, 3, 4)))
        for bad, text in (("#..\n.#.\n...", "3 rows"), ("#...", "4 cells"), ("#.\n.", "1 to 2 cells"),
                          ("#x", '"x" is none of # . o')):
            with self.refused(hrm.ArgumentError, text):
                n.solve(bad)
        with self.refused(hrm.ArgumentError, "2 x 3, but the model's have 16"):
            n.vocabulary.encode("#", 16)
        with hrm.Trainer(d, model=m, steps=1, global_batch_size=2) as t:
            t.save("own_state.safetensors")
        with open("own_state.safetensors", "rb") as f:
            self.assertIn(b"hrm.vocabulary", f.read())
        m.save("bad.safetensors", metadata={"hrm.vocabulary": "[]"})
        with self.refused(hrm.FormatError, "bad.safetensors: no vocabulary"):
            hrm.load("bad.safetensors")

    def test_segments(self):
        m, x = self.m, boards(4)
        w = m.state_dict()
        seen = list(m.segments(x, states=True))
        self.assertEqual([s.segment for s in seen], [1, 2, 3])
        for s in seen:
            self.assertEqual(s.logits.shape, (4, 16, 6))
            np.testing.assert_array_equal(s.logits.argmax(2), s.predictions)
            np.testing.assert_allclose(s.states[0, :, m.puzzle_positions:] @ w["inner.lm_head.weight"].T, s.logits, atol=1e-4)
            q = s.states[0, :, 0] @ w["inner.q_head.weight"].T + w["inner.q_head.bias"]
            np.testing.assert_allclose(q, np.stack([s.q_halt, s.q_continue], 1), atol=1e-4)
        self.assertGreater(abs(seen[0].states - seen[1].states).max(), 0)
        full = m.solve(x, halt="full", details=True)
        np.testing.assert_array_equal(full.answers, seen[-1].predictions)
        np.testing.assert_array_equal(full.q_halt, seen[-1].q_halt)
        self.assertIsNone(next(m.segments(x, halt_max_steps=1)).states)
        with self.refused(hrm.ArgumentError, "load it with more"):
            m.segments(x, halt_max_steps=4)
        # several at a time, and one that is left alone
        two = [m.segments(x), m.segments(x[:2])]
        np.testing.assert_array_equal(next(two[0]).logits[:2], next(two[1]).logits)
        np.testing.assert_array_equal(next(two[0]).logits, seen[1].logits)

    def test_files(self):
        m, x = self.m, boards(5)
        for bad in ({"a": 5}, {1: "a"}, {"a": "b\0c"}):
            with self.refused(hrm.ArgumentError, "expected texts without zero bytes"):
                m.save("m.safetensors", metadata=bad)
        m.save("m.safetensors", metadata={"made by": "test ü"})
        n = hrm.load("m.safetensors", threads=2)
        self.assertEqual(n.config, m.config)
        np.testing.assert_array_equal(n.solve(x), m.solve(x))
        with open("m.safetensors", "rb") as f:
            self.assertIn("test ü".encode(), f.read())
        self.assertEqual(hrm.load("m.safetensors", halt_max_steps=7).halt_max_steps, 7)
        m.save("half.safetensors", dtype="bfloat16")
        self.assertLess(os.path.getsize("half.safetensors"), 0.6 * os.path.getsize("m.safetensors"))
        with self.refused(hrm.ArgumentError, "int8"):
            m.save("m.safetensors", dtype="int8")
        for name in ("m.pt", b"m.pth"):
            with self.refused(hrm.ArgumentError, "safetensors"):
                m.save(name)
            self.assertFalse(os.path.exists(name))
        with self.refused(hrm.FileError, "no/where"):
            m.save("no/where/m.safetensors")
        weights = m.state_dict()
        other = hrm.Model(config=m.config, seed=9, threads=1)
        self.assertFalse((other.state_dict()["inner.lm_head.weight"] == weights["inner.lm_head.weight"]).all())
        other.load_weights("m.safetensors")
        np.testing.assert_array_equal(other.solve(x), m.solve(x))
        fresh = hrm.Model(config=m.config, seed=9, threads=1)
        fresh.load_state_dict(weights)
        np.testing.assert_array_equal(fresh.solve(x), m.solve(x))
        for bad, text in (({"inner.nothing": 1}, "no tensor inner.nothing"),
                          ({"inner.lm_head.weight": np.ones((2, 2))}, "[2, 2]")):
            with self.refused(hrm.ArgumentError, text):
                fresh.load_state_dict(bad)
        self.assertEqual(hrm.load("nine").seq_len, 81)  # of a folder its newest step

    def test_evaluate(self):
        data = hrm.Dataset("data/sudoku4", "test")
        told = []
        r = self.m.evaluate(data, batch_size=32, callback=lambda *a: told.append(a))
        self.assertEqual((told[-1][0], told[-1][1], r.count), (len(data), len(data), len(data)))
        self.assertEqual(told[-1][2].accuracy, r.accuracy)
        x = data[:]
        self.assertAlmostEqual(r.accuracy, (self.m.solve(x.inputs, halt="full") == x.labels).mean(), 6)
        self.assertEqual(self.m.evaluate("data/sudoku4").accuracy, r.accuracy)
        self.assertEqual(self.m.evaluate(data, examples=5, halt="adaptive", halt_max_steps=2).count, 5)

        def stop(*_):
            raise ZeroDivisionError("mine")

        def again(*_):
            self.m.solve(x.inputs)

        with self.assertRaisesRegex(ZeroDivisionError, "mine"):
            self.m.evaluate(data, callback=stop)
        with self.assertRaisesRegex(RuntimeError, "at work"):
            self.m.evaluate(data, callback=again)
        self.assertEqual(self.m.evaluate(data).accuracy, r.accuracy)
        for keys in (dict(examples=0), dict(batch_size=0), dict(halt="never")):
            with self.refused(hrm.ArgumentError, next(iter(keys))):
                self.m.evaluate(data, **keys)
        with self.refused(hrm.ArgumentError):
            self.m.evaluate(hrm.Dataset("data/sudoku", "test"))


class TestDataset(Messages):
    def test_folder(self):
        d = hrm.Dataset("data/sudoku4")
        raw = np.load("data/sudoku4/train/all__inputs.npy")
        self.assertEqual((len(d), d.seq_len, d.vocab_size), (len(raw), 16, 6))
        np.testing.assert_array_equal(d[:].inputs, raw)
        np.testing.assert_array_equal(d[-1].inputs[0], raw[-1])
        np.testing.assert_array_equal(np.concatenate([b.inputs for b in d.batches(7)]), raw)
        self.assertEqual(sum(1 for _ in d), len(raw))
        self.assertEqual(d[5:5].inputs.shape, (0, 16))
        for bad in (len(d), -len(d) - 1):
            with self.assertRaises(IndexError):
                d[bad]
        with self.refused(hrm.ArgumentError, "step of 2"):
            d[::2]
        with self.refused(hrm.FileError, "nowhere"):
            hrm.Dataset("nowhere")
        for bad in (0, -1):
            with self.refused(hrm.ArgumentError, "rows is %d, expected 1 or more" % bad):
                d.training_batches(bad)
        it = d.training_batches(len(d), seed=1)
        first, second = next(it), next(it)
        self.assertEqual(sorted(map(tuple, first.inputs)), sorted(map(tuple, raw)))
        self.assertFalse((first.inputs == second.inputs).all())
        np.testing.assert_array_equal(next(d.training_batches(len(d), seed=1)).inputs, first.inputs)

    def test_arrays(self):
        x, y = boards(10), boards(10, 1)
        y[3, 4] = -100
        d = hrm.Dataset.from_arrays(x, y)
        np.testing.assert_array_equal(d[:].inputs, x)
        np.testing.assert_array_equal(d[:].labels, y)
        self.assertEqual((d.vocab_size, d.total_groups, d.num_puzzle_identifiers), (6, 10, 1))
        self.assertEqual(hrm.Dataset.from_arrays(x, boards(10, 1), ignore_label_id=5)[:].labels.min(), -100)
        d = hrm.Dataset.from_arrays(x, y, vocab_size=9, puzzle_identifiers=[2, 0, 1, 0], puzzle_indices=[0, 2, 5, 9, 10],
                                    group_indices=[0, 3, 4])
        self.assertEqual((d.vocab_size, d.total_puzzles, d.total_groups, d.num_puzzle_identifiers), (9, 4, 2, 3))
        self.assertEqual(d[:].puzzle_identifiers.tolist(), [2, 2, 0, 0, 0, 1, 1, 1, 1, 0])
        m = hrm.Model(d, **TINY)
        self.assertEqual(m.config["num_puzzle_identifiers"], 3)
        m.solve(x, puzzle_identifiers=d[:].puzzle_identifiers)
        with self.refused(hrm.ArgumentError, "identifier"):
            m.solve(x, puzzle_identifiers=[3] * 10)
        for inputs, labels, keys, text in (
                (x, y[:5], {}, "[5, 16]"), (x[0], y[0], {}, "[16]"), (x + 300, y, {}, "values from"),
                (x * 1.0, y, {}, "float64"),
                (x, y, dict(vocab_size=3), "the vocabulary"), (x, y, dict(puzzle_identifiers=[0]), "expected 10"),
                (x, y, dict(puzzle_indices=[0, 5]), "puzzle_indices"), (x, y, dict(puzzle_indices=[0, 50]), "puzzle_indices"),
                (x, y, dict(group_indices=[[0]]), "group_indices"), (x[:0], y[:0], {}, "vocab_size")):
            with self.refused(hrm.ArgumentError, text):
                hrm.Dataset.from_arrays(inputs, labels, **keys)

    def test_arrays_stay(self):
        raw = boards(50).astype(np.uint8)
        d = hrm.Dataset.from_arrays(raw, raw.copy())
        seen = weakref.ref(raw)
        before = raw.copy()
        del raw
        gc.collect()
        self.assertIsNotNone(seen())  # used in place, so it is kept
        np.testing.assert_array_equal(d[:].inputs, before)
        d.close()
        self.assertIsNone(seen())


class TestTrainer(Messages):
    def trainer(self, **keys):
        return hrm.Trainer("data/sudoku4", {"arch.halt_max_steps": 3}, **{**TINY, "steps": 30, "global_batch_size": 16, **keys})

    def test_like_the_command(self):
        t = hrm.Trainer("data/sudoku4", {
            "arch": "fast", "arch.hidden_size": 16, "arch.num_heads": 2, "arch.H_cycles": 2, "arch.L_cycles": 2,
            "arch.loss.loss_type": "stablemax_cross_entropy", "arch.loss.label_smoothing": 0, "arch.halt_max_steps": 3,
            "optimizer": "adam_atan2", "global_batch_size": 16, "steps": 5, "lr": 3e-3, "beta1": 0.8, "ema_from": 2, "seed": 7})
        self.assertEqual(t.config["lr_min_ratio"], 0)
        t.train()
        by_command = hrm.load("four/step_5.safetensors")
        self.assertEqual(by_command.config, t.model.config)
        off = 0 if os.environ.get("HRM_OBJECTS") else 1e-5  # another compiler rounds otherwise
        for name, values in by_command.state_dict().items():
            np.testing.assert_allclose(values, t.model.state_dict()[name], off, off, err_msg=name)

    def test_train(self):
        t = self.trainer(lr=3e-3, lr_warmup_steps=0)
        self.assertEqual((t.steps_total, t.steps_done, t.config["beta2"], t.config["lr_warmup_steps"]), (30, 0, 0.95, 0))
        told = []
        last = t.train(told.append, every=4, steps=10)
        self.assertEqual([m.step for m in told], [4, 8, 10])
        self.assertEqual((last, t.steps_done), (told[-1], 10))
        self.assertAlmostEqual(last.lr, 3e-3, 8)
        self.assertEqual(next(iter(t)).step, 11)
        t.train(lambda m: m.step < 15)
        self.assertEqual(t.steps_done, 15)
        with self.assertRaisesRegex(ZeroDivisionError, "division"):
            t.train(lambda m: 1 / 0)
        self.assertEqual((t.steps_done, len(list(t))), (16, 14))
        self.assertIsNone(t.step())
        self.assertIsNone(t.train())
        losses = [told[0].lm_loss, last.lm_loss]
        self.assertLess(losses[1], losses[0])
        for keys, text in ((dict(stepz=3), 'did you mean "steps"'), (dict(steps=0), "steps is 0"), (dict(lr=-1), "lr is -1"),
                           (dict(global_batch_size=16, grad_accumulation=3), "grad_accumulation"),
                           (dict(checkpoint_path="x"), "checkpoint_path")):
            with self.refused(hrm.ArgumentError, text):
                self.trainer(**keys)
        with self.refused(hrm.ArgumentError, "hidden_size"):  # the model's to say, and it is there
            hrm.Trainer(t.data, model=t.model, hidden_size=16)

    def test_callback_may_look(self):
        t = self.trainer(steps=4, ema=True, ema_rate=0.5)
        seen = []

        def look(metrics):
            t.use_average()
            seen.append(t.model.evaluate("data/sudoku4", examples=8).lm_loss)
            t.model.save("look.safetensors")

        t.train(look, every=2)
        self.assertEqual(len(seen), 2)
        average = t.model.state_dict()["inner.lm_head.weight"]
        np.testing.assert_array_equal(hrm.load("look.safetensors").state_dict()["inner.lm_head.weight"], average)
        t.use_average(False)
        self.assertFalse((t.model.state_dict()["inner.lm_head.weight"] == average).all())
        with self.refused(hrm.ArgumentError, "ema"):
            self.trainer().use_average()

    def test_resume(self):
        whole, part = self.trainer(steps=12), self.trainer(steps=12)
        whole.train()
        part.train(steps=5)
        part.save("state.safetensors")
        after = self.trainer(steps=12, seed=0)
        after.load("state.safetensors")
        self.assertEqual(after.steps_done, 5)
        after.train()
        for name, values in whole.model.state_dict().items():
            np.testing.assert_array_equal(values, after.model.state_dict()[name])
        with self.refused(hrm.Error):
            self.trainer(hidden_size=32).load("state.safetensors")

    @unittest.skipIf(os.name == "nt", "no such signals")
    def test_interrupt(self):
        t = self.trainer(steps=2000)
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with self.assertRaises(KeyboardInterrupt):
            t.train()
        done = t.steps_done
        self.assertTrue(0 < done < 2000, done)
        self.assertEqual(t.step().step, done + 1)
        same = self.trainer(steps=2000)
        same.train(steps=done + 1)
        for name, values in same.model.state_dict().items():
            np.testing.assert_array_equal(values, t.model.state_dict()[name])

    @unittest.skipIf(os.name == "nt", "no such signals")
    def test_interrupted_evaluation(self):
        m = hrm.Model(seq_len=16, vocab_size=6, **{**TINY, "halt_max_steps": 16})
        x, done = np.repeat(boards(200), 50, 0), []
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with self.assertRaises(KeyboardInterrupt):
            m.evaluate(hrm.Dataset.from_arrays(x, x), batch_size=8, callback=lambda *told: done.append(told))
        self.assertLess(len(done), 600)  # of 1,250 batches
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)
        m.solve(x[:3])


class TestCuda(Messages):
    def test_cuda(self):
        keys = dict(hidden_size=128, num_heads=2, H_layers=1, L_layers=1, halt_max_steps=2, seed=4)
        try:
            hrm.Model(seq_len=16, vocab_size=6, device="cuda", **keys)
        except hrm.DeviceError as e:
            self.skipTest(str(e))
        x = boards(8)
        cpu = hrm.Model(seq_len=16, vocab_size=6, **keys)
        for kind, near in (("float32", 1e-3), ("bfloat16", 0.1)):
            m = hrm.Model(seq_len=16, vocab_size=6, device="cuda", forward_dtype=kind, **keys)
            head = m.state_dict()["inner.lm_head.weight"]
            for s, c in zip(m.segments(x, states=True), cpu.segments(x, states=True)):
                np.testing.assert_allclose(s.states[0, :, m.puzzle_positions:] @ head.T, s.logits, atol=near / 5)
                self.assertLess(abs(s.states - c.states).mean(), near)
            t = hrm.Trainer("data/sudoku4", model=m, steps=4, global_batch_size=16)
            self.assertEqual(t.train(steps=4).step, 4)
            self.assertEqual(m.solve(x).shape, x.shape)
            self.assertEqual(m.evaluate("data/sudoku4", examples=20).count, 20)


class TestLifetimes(Messages):
    def test_closed(self):
        m = hrm.Model(seq_len=16, vocab_size=6, **TINY)
        with m:
            m.solve(boards(1))
        d = hrm.Dataset("data/sudoku4")
        with d, hrm.Trainer(d, steps=3, global_batch_size=4, **TINY) as t:
            t.step()
        for use in (lambda: m.solve(boards(1)), lambda: m.save("x"), lambda: m.state_dict(), lambda: d[0], lambda: t.step(),
                    lambda: t.steps_done, lambda: next(d.training_batches(2)), lambda: hrm.Model(d),
                    lambda: m.segments(boards(1)), lambda: hrm.Trainer(d), lambda: hrm.Trainer("data/sudoku4", model=m),
                    lambda: t.save("x")):
            with self.refused(hrm.ArgumentError, "is closed"):
                use()
        m.close(), d.close(), t.close()
        self.assertFalse(os.path.exists("x"))

    def test_what_is_in_use_stays(self):
        t = hrm.Trainer(hrm.Dataset("data/sudoku4"), steps=4, global_batch_size=4, **TINY)
        handle = weakref.ref(t.model._handle)
        t.step()
        t.model.close(), t.data.close()
        gc.collect()
        self.assertIsNotNone(handle())
        self.assertEqual(t.step().step, 2)
        t.close()
        self.assertIsNone(handle())
        m = hrm.Model(seq_len=16, vocab_size=6, **TINY)
        handle = weakref.ref(m._handle)
        s = m.segments(boards(2))
        next(s)
        del m
        gc.collect()
        self.assertEqual(next(s).segment, 2)
        del s
        gc.collect()
        self.assertIsNone(handle())

    def test_circles(self):
        destroyed = []
        gc.collect()
        for destroy in ("model_destroy", "trainer_destroy"):
            real = getattr(_library.api, destroy)
            setattr(_library.api, destroy, lambda p, real=real, name=destroy: (destroyed.append(name), real(p))[1])
        try:
            for _ in range(10):
                t = hrm.Trainer("data/sudoku4", steps=2, global_batch_size=4, **TINY)
                t.step()
                t.me, t.model.trainer, t.data.trainer = t, t, t
                del t
                gc.collect()
        finally:
            for destroy in ("model_destroy", "trainer_destroy"):
                delattr(_library.api, destroy)
        self.assertEqual(destroyed, ["trainer_destroy", "model_destroy"] * 10)

    def test_let_go_of_during_a_call(self):
        m = hrm.Model(seq_len=16, vocab_size=6, **TINY)
        runs = [m.segments(boards(2)) for _ in range(3)]
        for r in runs:
            next(r)
        del r
        m.evaluate("data/sudoku4", batch_size=16, callback=lambda *_: runs.clear())
        self.assertEqual((runs, m._handle.retired), ([], []))

    def test_no_copies(self):
        m = hrm.Model(seq_len=16, vocab_size=6, **TINY)
        for thing in (m, hrm.Dataset("data/sudoku4"), hrm.Trainer("data/sudoku4", model=m, steps=1, global_batch_size=4)):
            with self.assertRaisesRegex(TypeError, "pickle"):
                pickle.dumps(thing)

    def test_threads(self):
        m = hrm.Model(seq_len=16, vocab_size=6, **{**TINY, "halt_max_steps": 16})
        x = boards(64)
        want, got, progress = m.solve(x), [], 0
        workers = [threading.Thread(target=lambda: got.extend(m.solve(x, batch_size=64) for _ in range(2))) for _ in range(3)]
        for w in workers:
            w.start()
        while any(w.is_alive() for w in workers):
            progress += 1
            time.sleep(0.001)
        self.assertEqual(len(got), 6)
        for g in got:
            np.testing.assert_array_equal(g, want)
        self.assertGreater(progress, 5)

    def test_gil(self):
        m = hrm.Model(seq_len=16, vocab_size=6, **{**TINY, "halt_max_steps": 16})
        x, stamps = np.repeat(boards(64), 5, 0), []
        done = threading.Event()

        def watch():
            while not done.is_set():
                stamps.append(time.monotonic())
                time.sleep(0.001)

        w = threading.Thread(target=watch)
        w.start()
        start = time.monotonic()
        m.solve(x, halt="full", batch_size=len(x))  # one call
        end = time.monotonic()
        done.set()
        w.join()
        self.assertGreater(sum(start < t < end for t in stamps), 5, "the call kept the GIL for %g s" % (end - start))


if __name__ == "__main__":
    unittest.main()
