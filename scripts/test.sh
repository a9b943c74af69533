#!/usr/bin/env bash
# The whole test suite: what `make test` and continuous integration run. Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh kafka
# The fault injection points are compiled in, so that the crash suite can stop the program at each of them.
exec cargo test --locked --features failpoints "$@"
