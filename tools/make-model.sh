#!/bin/sh
# Makes a model like models/sudoku.safetensors: puzzles by our own generator, training on one GPU, weights as bfloat16.
#   make cuda && sh tools/make-model.sh [KEY=VALUE…]      the keys go to `hrm train`; what follows is changed by the environment
set -eu
HRM=${HRM:-build/cuda/hrm}
PUZZLES=${PUZZLES:-7000}               # made for training,
TEST_SIZE=${TEST_SIZE:-300}            # and to measure it
MIN_DIFFICULTY=${MIN_DIFFICULTY:-0}    # each puzzle's rating is drawn between these
MAX_DIFFICULTY=${MAX_DIFFICULTY:-120}
PER_SOLUTION=${PER_SOLUTION:-1}        # puzzles that may share one
NUM_AUG=${NUM_AUG:-100}                # symmetric variants of a puzzle
SEED=${SEED:-2026}                     # of the puzzles; the training's is in its configuration
CONFIG=${CONFIG:-examples/configs/sudoku_model.yaml}
DATA=${DATA:-data/sudoku-model}
RUN=${RUN:-runs/sudoku_model}
MODEL=${MODEL:-models/sudoku.safetensors}

[ -x "$HRM" ] || { echo "make-model.sh: no $HRM: make cuda builds it, or HRM=build/hrm for training on the processor" >&2; exit 1; }
"$HRM" data sudoku --generate "$PUZZLES" --test-size "$TEST_SIZE" --min-difficulty "$MIN_DIFFICULTY" --max-difficulty "$MAX_DIFFICULTY" \
    --per-solution "$PER_SOLUTION" --num-aug "$NUM_AUG" --seed "$SEED" --output-dir "$DATA"
"$HRM" train --config "$CONFIG" data_path="$DATA" checkpoint_path="$RUN" "$@"
mkdir -p "$(dirname "$MODEL")"
"$HRM" convert "$RUN" "$MODEL" --dtype bf16
