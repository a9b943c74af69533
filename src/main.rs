//! The binary: parse, run, map the error to its exit code.

use std::process::ExitCode;

/// Rows are many small allocations of many sizes: mimalloc keeps them tight and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pgtape::cli::main()
}
