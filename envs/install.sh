#!/usr/bin/env bash
# Install the locked environment into a virtual environment: envs/install.sh PYTHON_OF_THE_ENVIRONMENT
#
# The order matters. torch comes first: everything else is content with it, and DeepSpeed's set-up imports it.
# DeepSpeed is built without its compiled operators, so that no compiler is needed; DS_BUILD_OPS=1 changes that.
set -euo pipefail
python=$1
cd "$(dirname "$0")/.."
locked() { grep -E "^$1==" envs/core.txt; }
export DS_BUILD_OPS="${DS_BUILD_OPS:-0}" PIP_DISABLE_PIP_VERSION_CHECK=1
"$python" -m pip install --quiet "$(locked setuptools)" "$(locked wheel)" "$(locked torch)"
"$python" -m pip install --quiet -r <(grep -vE '^(deepspeed)==' envs/core.txt)
"$python" -m pip install --quiet --no-build-isolation "$(locked deepspeed)"
"$python" -m pip install --quiet --no-build-isolation --no-deps --editable .
