#!/usr/bin/env bash
# Format, lints, documentation, dependencies: everything that is wrong without running anything.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --check
cargo clippy --locked --all-targets --features failpoints -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --quiet
if cargo deny --version >/dev/null 2>&1; then
    cargo deny --locked check
else
    echo "not checked: licences, advisories and sources of dependencies; install with: cargo install --locked cargo-deny"
fi
