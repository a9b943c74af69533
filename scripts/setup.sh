#!/usr/bin/env bash
# Brings what the build and the tests need and this machine lacks: a C and C++ compiler, make, the headers of zlib and
# OpenSSL, Postgres' server programs, and
# with the argument `kafka` a broker for the tests that need one (Java, Maven, Kafka's jars in target/kafka, Flink's in
# target/flink; kcat reads back what was written, openssl makes the certificates of brokers with TLS).
# Root on Debian or Ubuntu gets the distribution's packages; everybody else is told the one command to run.
# Leaves nothing running: the package is told not to make a cluster of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

may_install() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

missing=()
if ! command -v c++ >/dev/null || ! command -v make >/dev/null; then missing+=(build-essential); fi
# What librdkafka is built with; `cargo build --no-default-features` does without.
command -v pkg-config >/dev/null || missing+=(pkg-config)
[ -e /usr/include/zlib.h ] || missing+=(zlib1g-dev)
[ -e /usr/include/openssl/ssl.h ] || missing+=(libssl-dev)
if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null &&
    ! compgen -G '/usr/pgsql-*/bin/initdb' >/dev/null &&
    ! { command -v pg_config >/dev/null && [ -x "$(pg_config --bindir)/initdb" ]; }; then
    missing+=(postgresql)
fi
if [ ${#missing[@]} -gt 0 ] && ! may_install; then
    echo "missing on this machine: ${missing[*]}; install with: sudo apt-get install ${missing[*]}" >&2
    exit 2
fi
# Who may not install Java goes without: only the tests of Kafka fail then, and say what they need.
if [ "${1:-}" = kafka ] && may_install; then
    command -v java >/dev/null || missing+=(default-jre-headless)
    command -v mvn >/dev/null || missing+=(maven)
    command -v kcat >/dev/null || missing+=(kcat)
    command -v openssl >/dev/null || missing+=(openssl)
fi

if [ ${#missing[@]} -gt 0 ]; then
    no_cluster=/etc/postgresql-common/createcluster.d/pgtape-setup.conf
    mkdir -p "$(dirname "$no_cluster")"
    trap 'rm -f "$no_cluster"' EXIT
    echo 'create_main_cluster = false' >"$no_cluster"
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
    apt-get update -qq </dev/null
    apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi

if ! command -v cargo >/dev/null; then
    echo "missing: a Rust toolchain; install it from https://rustup.rs" >&2
    exit 2
fi

if [ "${1:-}" = kafka ] && command -v java >/dev/null && command -v mvn >/dev/null; then
    deploy/kafka/kafka.sh fetch || echo "Kafka could not be fetched: the tests that need a broker will fail" >&2
    deploy/kafka/kafka.sh fetch-registry ||
        echo "the schema registry could not be fetched: the tests that need one will fail" >&2
    deploy/flink/flink.sh fetch || echo "Flink could not be fetched: the test of Flink will fail" >&2
fi
