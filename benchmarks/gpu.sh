#!/bin/sh
# All figures of a GPU into benchmarks/results/gpu.json, in under ten minutes on an H200.
# What was measured is printed beside what was predicted. PYTHON names another interpreter;
# --rehearse runs the same at tiny sizes on a CPU, --predict prints predictions alone.
set -eu
cd "$(dirname "$0")/.."
exec "${PYTHON:-python}" -m benchmarks.gpu "$@"
