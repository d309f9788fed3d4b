//! The `callsheet` command. Everything but the choice of the allocator is in the library.

use std::process::ExitCode;

/// Rows are many small texts that one thread allocates and another frees: an allocator made for this
/// plans a tenth faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    callsheet::cli::main()
}
