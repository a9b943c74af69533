#!/usr/bin/env bash
# The whole test suite: what `make test` and continuous integration run. Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
# Without a broker only the tests that need one fail, and say what to install.
if command -v java >/dev/null && command -v mvn >/dev/null; then
    deploy/kafka/kafka.sh fetch || echo "Kafka could not be fetched: the tests that need a broker will fail" >&2
fi
# The fault injection points are compiled in, so that the crash suite can stop the program at each of them.
exec cargo test --locked --features failpoints "$@"
