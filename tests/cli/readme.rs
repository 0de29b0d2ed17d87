//! Every command of the README is run, in order, as a reader would: one shell session in an empty folder, with the built binary on the PATH.
//!
//! In the README, fenced blocks marked `sh` are run. `cargo run --release --` stands for the binary under test; `cargo test` is this very run and
//! is left out; a command that is meant to end with another exit code than 0 says so in a comment, `# exits 1`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const README: &str = include_str!("../../README.md");

/// The commands of the `sh` blocks with the line of the README that each starts on; a trailing backslash joins lines, a heredoc stays whole.
fn commands(readme: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let (mut inside, mut open) = (false, false);
    let mut heredoc: Option<String> = None;
    for (index, line) in readme.lines().enumerate() {
        if heredoc.is_none() && line.starts_with("```") {
            inside = !inside && line.trim_end() == "```sh";
            open = false;
            continue;
        }
        if !inside || (heredoc.is_none() && !open && (line.trim().is_empty() || line.trim_start().starts_with('#'))) {
            continue;
        }
        match found.last_mut() {
            Some((_, command)) if open => {
                command.push('\n');
                command.push_str(line);
            }
            _ => found.push((index + 1, line.to_owned())),
        }
        if let Some(end) = &heredoc {
            if line == end {
                (heredoc, open) = (None, false);
            }
            continue;
        }
        heredoc = line.split_once("<<'").and_then(|(_, rest)| rest.split_once('\'')).map(|(word, _)| word.to_owned());
        open = heredoc.is_some() || line.ends_with('\\');
    }
    found
}

/// One bash script that runs them all and stops, naming the README's line, at the first that ends otherwise than it says.
fn script(commands: &[(usize, String)]) -> String {
    let mut script = String::from("set -u\n");
    for (line, command) in commands {
        if command.trim_start().starts_with("cargo test") {
            continue;
        }
        let expected = command.rsplit_once("# exits ").and_then(|(_, code)| code.trim().parse::<u8>().ok()).unwrap_or(0);
        let command = command.replace("cargo run --release --", "attestore");
        let _ = write!(
            script,
            "echo 'README.md:{line}' >&2\n{command}\ncode=$?\n[ $code -eq {expected} ] || {{ echo \"README.md:{line} ended with $code, expected {expected}\" >&2; exit 1; }}\n"
        );
    }
    script
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let commands = commands(README);
    assert!(commands.len() > 10, "the README shows only {} commands", commands.len());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let binary = Path::new(env!("CARGO_BIN_EXE_attestore")).parent().expect("the binary lies in a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("bash")
        .args(["-c", &script(&commands)])
        .current_dir(folder.path())
        .env("PATH", path)
        .env_remove("AWS_PROFILE")
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let tail = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).lines().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    };
    assert!(output.status.success(), "stdout:\n{}\nstderr:\n{}", tail(&output.stdout), tail(&output.stderr));
}

#[test]
fn commands_are_read_with_continuations_heredocs_and_exit_codes() {
    let readme = "```sh\n# a comment\none \\\n  more\ntwo   # exits 1\ncat >f <<'END'\nx\n\nEND\n```\n```toml\nno = 1\n```\n";
    let found = commands(readme);
    assert_eq!(found, [(3, "one \\\n  more".to_owned()), (5, "two   # exits 1".to_owned()), (6, "cat >f <<'END'\nx\n\nEND".to_owned())]);
    assert!(script(&found).contains("[ $code -eq 1 ]"));
}

#[test]
fn the_python_of_the_readme_is_the_one_that_reports_show() {
    assert!(
        README.contains(attestore::testing_log::public_tools::ROOT_PY),
        "README.md and src/testing_log/public_tools.rs have drifted apart"
    );
}
