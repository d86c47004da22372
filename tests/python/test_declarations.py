"""What the package takes hrm.h's interface for is what a C compiler takes it for."""
import ctypes
import os
import shlex
import subprocess
import tempfile
import unittest

from hrm import _config, _library
from hrm import _declarations as declared

HEADER = os.environ["HRM_HEADER"]


def text(kind, name=""):
    """A C declaration of a type as the package has it."""
    if isinstance(kind, tuple):
        return "%s (*%s)(%s)" % (text(kind[0]), name, ", ".join(map(text, kind[1])) or "void")
    return "%s %s" % (kind, name)


def compiled(lines):
    """What a program of these lines, hrm.h before them, prints."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "t.c"), os.path.join(folder, "t")
        with open(source, "w") as f:
            f.write('#include <stdio.h>\n#include <limits.h>\n#include "%s"\n' % HEADER + "\n".join(lines) + "\n")
        cc = shlex.split(os.environ.get("CC") or "cc")
        subprocess.run(cc + ["-std=c99", "-Werror", "-o", program, source], check=True)
        return subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()


KEYS = r"""
#define NUMBER(kind, T, key, field, standard, low, high, none, help) \
    printf("%s " kind " %zu %.17g %.17g %.17g %zu %s\n", key, offsetof(T, field), (double)(standard), (double)(low), \
           (double)(high), offsetof(T, none), help);
#define INT(...)   NUMBER("INT", __VA_ARGS__)
#define FLOAT(...) NUMBER("FLOAT", __VA_ARGS__)
#define WORD(T, key, field, words, help) printf("%s WORD %zu %s %s\n", key, offsetof(T, field), words, help);
#define FLAG(T, key, field, help) printf("%s FLAG %zu %s\n", key, offsetof(T, field), help);
#define KEY(T, kind, ...) kind(T, __VA_ARGS__)
#define ARCH(index, name, sets) printf("%d %s %s\n", (int)index, name, sets);
"""


class Declarations(unittest.TestCase):
    def test_functions(self):
        # said once more they contradict the header, unless they are the same
        lines = ["extern %s %s(%s);" % (result, name, ", ".join(map(text, arguments)) or "void")
                 for name, (result, arguments) in declared.FUNCTIONS.items()]
        self.assertGreater(len(lines), 80)
        compiled(lines + ["int main(void) { return 0; }"])

    def test_structs(self):
        body, expected, checks = [], [], []
        for name, fields in declared.STRUCTS.items():
            struct = _library.STRUCTS[name]
            body.append('printf("%s %%zu\\n", sizeof(%s));' % (name, name))
            expected.append("%s %d" % (name, ctypes.sizeof(struct)))
            for field, kind, length in fields:
                body.append('printf("%s %%zu %%zu\\n", offsetof(%s, %s), sizeof(((%s *)0)->%s));'
                            % (field, name, field, name, field))
                f = getattr(struct, field)
                expected.append("%s %d %d" % (field, f.offset, f.size))
                target = text(kind, "(*p)[%d]" % length if length else "*p") if isinstance(kind, str) else text(kind, "*p")
                checks.append("int check_%s_%s(%s *s) { %s = &s->%s; return p != 0; }" % (name, field, name, target, field))
        prototypes = [c[:c.index("{")].strip() + ";" for c in checks]
        self.assertEqual(compiled(prototypes + checks + ["int main(void) {"] + body + ["return 0; }"]), expected)

    def test_enums_and_scalars(self):
        body, expected = [], []
        for name, value in _library.CODES.items():
            body.append('printf("%s %%d\\n", (int)%s);' % (name, name))
            expected.append("%s %d" % (name, value))
        for name, kind in _library.SCALARS.items():
            body.append('printf("%s %%zu %%d %%d\\n", sizeof(%s), (%s)-1 < (%s)1, (%s)0.5 > (%s)0);' % ((name,) + 5 * (name,)))
            real = kind in (ctypes.c_float, ctypes.c_double)
            signed = real or kind is ctypes.c_char or kind(-1).value < 0
            if name in ("char",) or name in declared.ENUMS:  # either, as the compiler likes
                body[-1] = 'printf("%s %%zu\\n", sizeof(%s));' % (name, name)
                expected.append("%s %d" % (name, ctypes.sizeof(kind)))
            else:
                expected.append("%s %d %d %d" % (name, ctypes.sizeof(kind), signed, real))
        self.assertEqual(compiled(["int main(void) {"] + body + ["return 0; }"]), expected)

    def test_keys(self):
        lists = (("HRM_MODEL_KEYS", "hrm_model_desc", _config.MODEL), ("HRM_TRAIN_KEYS", "hrm_train_desc", _config.TRAIN))
        expected = []
        for _, name, keys in lists:
            at = lambda field: getattr(_library.STRUCTS[name], field).offset  # noqa: B023, E731
            for key, k in keys.items():
                line = "%s %s %d " % (key, k["kind"], at(k["field"]))
                if k["kind"] in ("INT", "FLOAT"):
                    line += "%.17g %.17g %.17g %d " % (k["default"], k["low"], k["high"], at(k["zero"]))
                elif k["kind"] == "WORD":
                    line += "|".join(k["words"]) + " "
                expected.append(line + k["help"])
        expected += ["%d %s %s" % (i, name, sets) for i, (name, sets) in enumerate(declared.ARCHS.items())]
        body = ["%s(KEY, %s)" % (macro, name) for macro, name, _ in lists] + ["HRM_ARCHS(ARCH)"]
        self.assertEqual(compiled([KEYS, "int main(void) {"] + body + ["return 0; }"]), expected)

    def test_metrics(self):
        from hrm import Metrics
        self.assertEqual(list(Metrics.__dataclass_fields__), [f for f, _, _ in declared.STRUCTS["hrm_metrics"]])


if __name__ == "__main__":
    unittest.main()
