"""Builds the package: hrm.h compiled into a library beside the Python files, its declarations read out of it, and the model
that comes with it, where there is one. A source distribution holds all three.

HRM_OBJECTS="…/hrm.o …/hrm_cuda.o" links these, of the same hrm.h, instead of compiling; LDFLAGS may name what they need. CC
and CFLAGS are heard.
"""
import os
import shlex
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    try:
        from wheel.bdist_wheel import bdist_wheel
    except ImportError:  # pip asks an old setuptools what a build needs, and brings it then
        bdist_wheel = None

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from declarations import Header, generate  # noqa: E402

ROOT = HERE if (HERE / "hrm.h").exists() else HERE.parents[1]
HEADER = ROOT / "hrm.h"
if not HEADER.exists():
    sys.exit("hrm: no hrm.h in %s nor in %s: build it in the repository (with pip 21.3 or later) or from a source distribution"
             % (HERE, ROOT))
TEXT = HEADER.read_text(encoding="utf-8")
OBJECTS = shlex.split(os.environ.get("HRM_OBJECTS", ""))
MODEL = ROOT / "models" / "sudoku.safetensors"


class BuildLibrary(build_ext):
    """A plain shared library instead of a module of Python's: one build serves every version of it."""

    def finalize_options(self):
        super().finalize_options()
        self.force = True  # what it was made of may have been anything

    def get_ext_filename(self, fullname):
        return os.path.join(*fullname.split(".")) + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")

    def get_export_symbols(self, ext):
        return list(Header(TEXT).functions)

    def build_extension(self, ext):
        if OBJECTS:
            ext.extra_objects = OBJECTS
        else:
            source = Path(self.build_temp) / "library.c"
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text("#define HRM_IMPLEMENTATION\n#include \"hrm.h\"\n", encoding="utf-8")
            ext.sources, ext.include_dirs = [str(source)], [str(ROOT)]
        if self.compiler.compiler_type == "msvc":
            ext.extra_compile_args = ["/O2"]
        else:
            optimise = [] if "-O" in os.environ.get("CFLAGS", "") else ["-O3", "-g0"]
            ext.extra_compile_args = ["-std=c99", "-pthread"] + optimise
            ext.extra_link_args = shlex.split(os.environ.get("LDFLAGS", "")) + ["-pthread"]
            ext.libraries = ["m"]
        super().build_extension(ext)
        self.bring_along(Path(self.get_ext_fullpath(ext.name)).parent)

    def copy_extensions_to_source(self):  # of an editable installation
        super().copy_extensions_to_source()
        self.bring_along(Path(self.get_finalized_command("build_py").get_package_dir("hrm")))

    def bring_along(self, folder):
        (folder / "_declarations.py").write_text(generate(TEXT), encoding="utf-8")
        if MODEL.exists():
            self.mkpath(str(folder / "models"))
            self.copy_file(str(MODEL), str(folder / "models"))


class SourceDistribution(sdist):
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        for file in filter(Path.exists, (HEADER, ROOT / "LICENSE", MODEL)):
            to = Path(base_dir) / file.relative_to(ROOT)
            self.mkpath(str(to.parent))
            self.copy_file(str(file), str(to))


commands = {"build_ext": BuildLibrary, "sdist": SourceDistribution}
if bdist_wheel:

    class Wheel(bdist_wheel):
        def get_tag(self):
            return ("py3", "none") + super().get_tag()[2:]

    commands["bdist_wheel"] = Wheel

setup(
    version=Header(TEXT).text("HRM_VERSION"),
    cmdclass=commands,
    ext_modules=[Extension("hrm.libhrm", [])],
    options={"build": {"build_base": str(ROOT / "build" / "python")}} if ROOT != HERE else {},
)
