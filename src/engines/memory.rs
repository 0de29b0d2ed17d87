//! The memory that is left on a machine. What is loaded is foreign, and may want any amount of it: a server of ours and its clients have a
//! bound, which the system holds each process to, and a load ends before what it takes is missed by whoever else works there.
//!
//! Sources: proc_meminfo(5), proc_pid_status(5); "Memory" in the kernel's `cgroup-v2` and `cgroup-v1`; `RLIMIT_DATA` in setrlimit(2), which
//! counts what a process may write of its own, and not the address space that a server keeps for later. Where the system tells none of it,
//! nothing is bounded. Not here: the disk (`room`).

use std::path::{Path, PathBuf};

use crate::engines::process::{self, ProcessMark};
use crate::model::failure::{Failure, FailureKind};

/// Test hook: the bound in MiB, in place of the one that follows the machine.
pub const BOUND: &str = "ATTESTORE_TEST_MEMORY";

/// What is left to others at the most, in bytes; of a small machine a twentieth.
const RESERVE: u64 = 1 << 30;
/// A bound is no less than this, for programs have memory that they never touch.
const LEAST: u64 = 1 << 30;

/// What `sh` does for a program: bounds it and all that it starts, and lets the system end these first where memory runs out.
const BOUNDED: &str = "ulimit -d \"$0\" 2>/dev/null; { echo 500 > /proc/self/oom_score_adj; } 2>/dev/null; exec \"$@\"";

/// Of a machine, or of the part of one that a group of processes has, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All.
    pub total: u64,
    /// What new work may take without a swap.
    pub available: u64,
}

impl Memory {
    /// As it is now, where the system tells.
    pub fn now() -> Option<Self> {
        let machine = of_machine(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
        let groups = groups(&std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
        let narrowest = |one: Self, other: Self| Self { total: one.total.min(other.total), available: one.available.min(other.available) };
        Some(groups.iter().filter_map(|group| of_group(group)).fold(machine, narrowest))
    }

    /// What is left to others of it.
    fn reserve(self) -> u64 {
        (self.total / 20).min(RESERVE)
    }
}

/// What one program may hold, in bytes: half of what is available now.
pub fn bound() -> Option<u64> {
    let hook = std::env::var(BOUND).ok().and_then(|mib| mib.parse::<u64>().ok());
    hook.map(|mib| mib << 20).or_else(|| Some((Memory::now()?.available / 2).max(LEAST)))
}

/// A program and its arguments that run it within a bound of so many bytes.
pub fn bounded(program: &Path, bound: Option<u64>) -> Vec<std::ffi::OsString> {
    let Some(bound) = bound else { return vec![program.into()] };
    ["/bin/sh".into(), "-c".into(), BOUNDED.into(), (bound >> 10).to_string().into(), program.into()].to_vec()
}

/// Fails where a server and its helpers hold more than `bound`, or less than the reserve is left on the machine.
///
/// # Errors
/// [`FailureKind::TooLarge`], with `what` in the message.
pub fn left_for(what: &str, server: ProcessMark, bound: Option<u64>) -> Result<(), Failure> {
    let (Some(bound), Some(memory)) = (bound, Memory::now()) else { return Ok(()) };
    let held = process::held(server);
    if held > bound {
        return Err(too_much(&format!("{what}: its server holds {} MiB of memory", held >> 20), Some(bound)));
    }
    if memory.available < memory.reserve() {
        let (left, kept) = (memory.available >> 20, memory.reserve() >> 20);
        return Err(too_much(&format!("{what}: {left} MiB of memory are left here, of which {kept} MiB are kept free"), Some(bound)));
    }
    Ok(())
}

/// The failure of work that wants more memory than it may have; says nothing of what it works on.
pub fn too_much(what: &str, bound: Option<u64>) -> Failure {
    let of = bound.map(|bound| format!(", and may have {} MiB", bound >> 20)).unwrap_or_default();
    Failure::new(FailureKind::TooLarge, format!("{what}{of}"))
        .hint("a program may hold half of the memory that was free when the restore began: make room, or drill on a larger machine")
}

fn of_machine(meminfo: &str) -> Option<Memory> {
    let field = |name: &str| {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        Some(rest.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    };
    Some(Memory { total: field("MemTotal:")?, available: field("MemAvailable:")? })
}

/// The folders of the groups that this process is in, of either version, with those above them.
fn groups(own: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => Path::new("/sys/fs/cgroup"),
            some if some.split(',').any(|one| one == "memory") => Path::new("/sys/fs/cgroup/memory"),
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        folders.extend(path.ancestors().map(|part| root.join(part)));
    }
    folders
}

/// What a group has, where it is limited. Pages of files that it has read can be given back.
fn of_group(folder: &Path) -> Option<Memory> {
    let number = |name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limit, used, start) = match number("memory.current") {
        Some(used) => ("memory.max", used, ""),
        None => ("memory.limit_in_bytes", number("memory.usage_in_bytes")?, "total_"),
    };
    let total = number(limit)?;
    let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let of_files = |line: &str| {
        let (name, bytes) = line.strip_prefix(start)?.split_once(' ')?;
        matches!(name, "inactive_file" | "active_file").then(|| bytes.trim().parse::<u64>().ok()).flatten()
    };
    let given_back: u64 = stat.lines().filter_map(of_files).sum();
    Some(Memory { total, available: total.saturating_sub(used.saturating_sub(given_back)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_and_its_groups_have_is_read() {
        let machine = "MemTotal:       2048 kB\nMemFree:         1 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(of_machine(machine), Some(Memory { total: 2 << 20, available: 1 << 20 }));
        assert_eq!(of_machine("MemTotal: x kB\n"), None);
        let folders = groups("12:cpu,memory:/docker/x\n3:pids:/y\n0::/a.slice/b\n");
        let expected = ["memory/docker/x", "memory/docker", "memory", "a.slice/b", "a.slice", ""];
        assert_eq!(folders, expected.map(|folder| Path::new("/sys/fs/cgroup").join(folder)));
        let dir = tempfile::tempdir().unwrap();
        let lay = |files: &[(&str, &str)]| files.iter().for_each(|(name, text)| std::fs::write(dir.path().join(name), text).unwrap());
        assert_eq!(of_group(dir.path()), None);
        lay(&[
            ("memory.limit_in_bytes", "900\n"),
            ("memory.usage_in_bytes", "500\n"),
            ("memory.stat", "inactive_file 7\ntotal_inactive_file 60\ntotal_active_file 40\n"),
        ]);
        assert_eq!(of_group(dir.path()), Some(Memory { total: 900, available: 500 }));
        lay(&[("memory.max", "max\n"), ("memory.current", "5\n")]);
        assert_eq!(of_group(dir.path()), None, "no limit");
        lay(&[("memory.max", "1000\n"), ("memory.current", "600\n")]);
        assert_eq!(of_group(dir.path()), Some(Memory { total: 1000, available: 407 }));
    }

    #[test]
    fn small_machines_keep_a_twentieth_and_large_ones_a_gibibyte() {
        assert_eq!([200 << 20, 1 << 40].map(|total| Memory { total, available: 0 }.reserve()), [10 << 20, RESERVE]);
    }

    #[test]
    fn a_program_is_held_to_its_bound_with_all_that_it_starts() {
        let words = bounded(Path::new("/bin/sh"), Some(64 << 20));
        let mut command = std::process::Command::new(&words[0]);
        let output = command.args(&words[1..]).args(["-c", "sh -c 'ulimit -d; echo \"$1\"' x \"$0\"", "an argument"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "65536\nan argument\n", "{output:?}");
        assert_eq!(bounded(Path::new("/x"), None), ["/x"]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_a_server_holds_is_looked_at() {
        let own = ProcessMark::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(process::held(own) > 1 << 20);
        let failure = left_for("x.sql", own, Some(1 << 10)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::TooLarge);
        assert!(failure.message.starts_with("x.sql: its server holds ") && failure.message.ends_with(" may have 0 MiB"), "{failure}");
        left_for("x.sql", own, None).unwrap();
    }
}
