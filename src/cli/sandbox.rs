//! `attestore sandbox serve`: the stand-in AWS for any AWS client on this machine.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::sandbox::identity;
use crate::sandbox::server::Sandbox;

/// Arguments of `sandbox`.
#[derive(Args, Debug)]
pub struct SandboxArgs {
    #[command(subcommand)]
    command: SandboxCommand,
}

#[derive(Subcommand, Debug)]
enum SandboxCommand {
    /// Serve the stand-in AWS on 127.0.0.1 until Ctrl-C; its state stays in the folder
    Serve(ServeArgs),
}

/// Arguments of `sandbox serve`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  attestore sandbox serve --dir /tmp/sandbox --port 4566 > /tmp/sandbox.env &
  . /tmp/sandbox.env && aws s3 mb s3://vault

The lines on stdout set AWS_ENDPOINT_URL, the keys and the Region, for any AWS client.")]
struct ServeArgs {
    /// Folder of its state, created when absent; a second server over it is refused
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Port on 127.0.0.1 [default: a free one]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

/// Runs the command.
pub async fn run(args: SandboxArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let SandboxCommand::Serve(args) = args.command;
    // Heard from the start, so that a signal during the start is not lost.
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| Failure::io("cannot listen for SIGTERM", error))?;
    let running = Sandbox::start(&args.dir, args.port).await?;
    let environment = [
        ("AWS_ENDPOINT_URL", running.endpoint()),
        ("AWS_ACCESS_KEY_ID", identity::ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", identity::SECRET_ACCESS_KEY.to_owned()),
        ("AWS_REGION", identity::REGION.to_owned()),
        ("AWS_DEFAULT_REGION", identity::REGION.to_owned()),
    ];
    let lines: Vec<String> = environment.iter().map(|(name, value)| format!("export {name}={value}")).collect();
    console.answer(lines.join("\n"));
    let values: Map<_, _> = environment.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    console.object(&json!({"event": "serving", "environment": values}));
    console.say(format!("serving {} over {}; Ctrl-C ends it", running.endpoint(), args.dir.display()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    running.stop().await?;
    console.say("stopped; the state stays where it is");
    console.summary("sandbox serve", "pass", ExitCode::Proven, Map::new());
    Ok(ExitCode::Proven)
}
