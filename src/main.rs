//! Parse, run, exit code.

use std::process::ExitCode;

use attestore::cli::{args::Args, run};
use clap::Parser;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return ExitCode::from(run::misused(&error).code()),
    };
    // Never one alone: while a command computes, another hears signals.
    let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the asynchronous runtime: {error}");
            return ExitCode::from(attestore::model::exit::ExitCode::Environment.code());
        }
    };
    let code = runtime.block_on(run::run(args));
    // Blocking reads that were abandoned must not hold the exit up.
    runtime.shutdown_background();
    ExitCode::from(code.code())
}
