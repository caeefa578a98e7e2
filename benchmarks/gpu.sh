#!/bin/sh
# Every check of speed that needs a GPU, in one table: benchmarks/gpu.py says which they are.
#
#     benchmarks/gpu.sh --out results.json              # under five minutes on one H100
#     benchmarks/gpu.sh --miniature                     # the same code on a CPU, in a minute
#     benchmarks/gpu.sh --only training,loss --limit-s 120
#
# PYTHON names another interpreter than `python3`. On a machine without a package index, bring these wheels
# beside its PyTorch (2.11 or newer, with torchvision, numpy, pandas, transformers, accelerate and safetensors),
# for its Python and platform, with `pip download --no-deps --only-binary=:all: -d wheels NAME==VERSION ...`:
#
#     diffusers==0.42.1 timm==1.0.31 kornia==0.9.0 kornia-rs==0.2.0 pydantic==2.14.3 pydantic-core==2.50.4
#     annotated-types==0.8.0 typing-inspection==0.4.5 typing-extensions==4.16.0 importlib-metadata==9.1.0
#
# and there `pip install --no-index --no-deps --target site wheels/*.whl; export PYTHONPATH=site`. Nothing else is
# imported: no Hydra, Kedro, polars or Ray (tests/test_gpu_checks.py).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root/src:$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" -m benchmarks.gpu "$@"
