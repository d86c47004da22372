#!/usr/bin/env bash
# The Python package: a source distribution of a copy of the repository, a wheel of that, installed into a fresh environment
# without a network, and tests/python run on it. Needs a python3 (or $PYTHON) with NumPy, setuptools, pip and venv. The library
# is linked of what was compiled already (or HRM_OBJECTS); HRM_PYTHON_COMPILE=1, as in `make test-python`, compiles it as pip
# would.
. "$(dirname "$0")/command.sh"
for candidate in ${PYTHON:+"$PYTHON"} python3 /usr/bin/python3; do
    if "$candidate" -c '
import setuptools, sys, numpy, pip, venv
try: import setuptools.command.bdist_wheel
except ImportError: import wheel.bdist_wheel
sys.exit(sys.version_info < (3, 8) or tuple(map(int, setuptools.__version__.split(".")[:1])) < (61,))' > /dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "skipped: no python3 with NumPy, setuptools, pip and venv (PYTHON=… names one)"
    echo "0 passed, 0 failed"
    exit 0
fi

# a copy with a model in its place, and what the tests work on
mkdir -p repo/tools repo/models
cp -r "$root/tools/python" repo/tools/
(cd repo/tools/python && rm -rf hrm/_declarations.py hrm/libhrm.* hrm/models hrm.egg-info) # of an editable installation
cp "$root/hrm.h" "$root/LICENSE" repo/
tiny="arch.hidden_size=16 arch.num_heads=2 arch.H_layers=1 arch.L_layers=1 arch.halt_max_steps=2"
good "9x9 boards" data sudoku --generate 8 --size 9 --output-dir data/sudoku
good "a 9x9 model" train data_path=data/sudoku checkpoint_path=nine steps=1 global_batch_size=4 threads=1 $tiny
cp nine/step_1.safetensors repo/models/sudoku.safetensors
good "4x4 boards" data sudoku --generate 200 --size 4 --givens 8 --output-dir data/sudoku4
mkdir mine && printf '#..\n.#.\n->\n#oo\n.#o\n\n...\n#..\n->\nooo\n#oo\n' > mine/train.txt
good "grids" data grid --source-dir mine --output-dir data/mine
good "a model of them" train data_path=data/mine checkpoint_path=own steps=1 global_batch_size=2 threads=1 $tiny
good "trained by the command" train data_path=data/sudoku4 checkpoint_path=four arch=fast arch.hidden_size=16 arch.num_heads=2 \
    arch.H_cycles=2 arch.L_cycles=2 arch.loss.loss_type=stablemax_cross_entropy arch.loss.label_smoothing=0 \
    arch.halt_max_steps=3 optimizer=adam_atan2 global_batch_size=16 steps=5 lr=3e-3 beta1=0.8 ema_from=2 seed=7 threads=2
good "5x5 mazes" data maze --generate 8 --size 5 --output-dir data/maze
good "a model of mazes" train data_path=data/maze checkpoint_path=maze steps=2 global_batch_size=4 threads=1 $tiny
# what the command's votes say, which the package's must
printf '341.2.4..23...24\n1...............\n.2..3......4....\n' > boards.txt
printf 'S...#.#.#.....#.#.#....G#\n#S..G##........#...#.#...\n' > mazes.txt
for rule in majority first best_q; do
    "$hrm" solve sudoku checkpoint=four votes=7 vote=$rule threads=1 --json boards.txt > votes_sudoku_$rule.json 2> err
    "$hrm" solve maze checkpoint=maze votes=8 vote=$rule halt=full threads=1 --json mazes.txt > votes_maze_$rule.json 2> err
    check "votes by the command, $rule" test "$(cat votes_*_$rule.json | grep -c '"agree"')" -eq 5
done

pip() { "$python" -m pip --disable-pip-version-check -q "$@"; }
(cd repo/tools/python && "$python" setup.py -q sdist -d "$work/dist") > out 2> err
mkdir sdist && tar -xzf dist/*.tar.gz -C sdist --strip-components=1
check "a source distribution" test -f sdist/hrm.h
check "with the model" cmp -s nine/step_1.safetensors sdist/models/sudoku.safetensors
[ -n "$HRM_PYTHON_COMPILE" ] || export HRM_OBJECTS="${HRM_OBJECTS:-$B/hrm.o}"
pip wheel --no-build-isolation --no-index --no-deps -w wheel ./sdist > out 2> err
check "a wheel of it" test -f wheel/hrm-*-py3-none-*.whl
"$python" -m venv --without-pip venv > out 2> err
if pip --python venv/bin/python --version > /dev/null 2>&1; then
    pip --python venv/bin/python install --no-index --no-deps wheel/*.whl > out 2> err
else # an older pip
    "$python" -m venv venv && venv/bin/python -m pip -q install --no-index --no-deps wheel/*.whl > out 2> err
fi
check "installed" test -n "$(ls venv/lib/python*/site-packages/hrm/libhrm.* venv/Lib/site-packages/hrm/libhrm.* 2>/dev/null)"
site=$(venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import numpy, os; print(os.path.dirname(os.path.dirname(numpy.__file__)))' > "$site/numpy_of_the_other.pth"

export HRM_HEADER="$root/hrm.h" HRM_DOCS="$root/docs/python.md"
for t in "$root"/tests/python/test_*.py; do
    venv/bin/python -I -X dev "$t" -v > out 2> err
    status=$?
    ran=$(sed -n 's/^Ran \([0-9]*\) tests\{0,1\} in .*/\1/p' err)
    skipped=$(sed -n 's/^OK (skipped=\([0-9]*\))$/\1/p' err)
    lost=$(sed -n 's/^FAILED (//p' err | tr -cs 0-9 '\n' | awk '{ n += $1 } END { print n + 0 }')
    if [ $status -eq 0 ] && [ "${ran:-0}" -gt 0 ]; then
        passed=$((passed + ran - ${skipped:-0}))
        sed -n "s/.* \.\.\. skipped '\(.*\)'$/skipped: \1/p" err
    else
        failed=$((failed + (lost > 0 ? lost : 1))) passed=$((passed + (ran > lost ? ran - lost : 0)))
        echo "FAILED: tests/python/$(basename "$t")"
        grep -v '^test_.* ok$' err | tail -40
    fi
done
run solve grid checkpoint=own.safetensors mine/train.txt --lines # its answers are wrong
check "a model of Python's in the command" test "$(grep -c '^[#.o?][#.o?]*/[#.o?]*$' out)" -eq 2
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
