//! The binary: parse, run, map the error to its exit code.

use std::process::ExitCode;

/// Rows are many small allocations of many sizes: mimalloc keeps them tight and gives memory back. It is librdkafka's
/// allocator, too: a record is made by one thread and freed by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pgtape::cli::main()
}
