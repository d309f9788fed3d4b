//! The `callsheet` command. Everything but the choice of the allocator is in the library.

use std::process::ExitCode;

/// Rows are many small texts that one thread allocates and another frees: an allocator made for this
/// plans a tenth faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Without optimisation, the futures of a command need more than the 8 MiB of a main thread.
const STACK_SIZE: usize = 64 << 20;

fn main() -> ExitCode {
    let command = std::thread::Builder::new().stack_size(STACK_SIZE).spawn(callsheet::cli::main);
    match command.map(std::thread::JoinHandle::join) {
        Ok(Ok(exit)) => exit,
        // It was printed; the code is that of a failure of this program.
        Ok(Err(_panic)) => ExitCode::FAILURE,
        // The system grants no thread: try without.
        Err(_) => callsheet::cli::main(),
    }
}
