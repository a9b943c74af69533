//! The binary: parse, run, map the error to its exit code.

fn main() {}
