"""The examples of docs/python.md, one after the other."""
import contextlib
import io
import os
import re
import unittest

with open(os.environ["HRM_DOCS"], encoding="utf-8") as f:
    EXAMPLES = re.findall(r"^```python\n(.*?)^```", f.read(), flags=re.S | re.M)


class Examples(unittest.TestCase):
    def test_examples(self):
        self.assertGreater(len(EXAMPLES), 5)
        names, out = {}, io.StringIO()
        with contextlib.redirect_stdout(out):
            for i, example in enumerate(EXAMPLES):
                exec(compile(example, "example %d of docs/python.md" % (i + 1), "exec"), names)
        said = out.getvalue()
        self.assertEqual(len(said.split("\n")[0]), 81)  # the board
        self.assertIn("\nnowhere.safetensors: cannot be read: no such file or folder\n", said)
        self.assertIn("\n20 ", said)  # the last step told of
        self.assertLessEqual(names["s"].segments.tolist(), [2] * 2)


if __name__ == "__main__":
    unittest.main()
