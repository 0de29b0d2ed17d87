//! Backups kept compressed as a whole, with gzip (RFC 1952; `pg_dump -Z`, `| gzip`) or Zstandard (RFC 8878), or with xz, bzip2 or LZ4, whose
//! own programs unpack them: unpacked beside the server that they are loaded into.
//!
//! Not here: pg_dump's own compressed archives, which pg_restore unpacks, and what a dump is (`dumps`).

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::engines::dumps::{Unloaded, elsewhere};
use crate::engines::{memory, room};
use crate::model::failure::{Failure, FailureKind};

/// The largest window of a frame is 2 to this power bytes, as `zstd --long=31` writes it.
const LARGEST_WINDOW: u32 = 31;

/// The disk is looked at after so many bytes.
const LOOK_EVERY: u64 = 16 << 20;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// One or more members of gzip.
    Gzip,
    /// One or more frames of Zstandard.
    Zstd,
    /// By a program of this name, which reads from a file and writes what was packed.
    By(&'static str),
}

impl Packing {
    /// By a file's first bytes; nothing for one that is not compressed in either way.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // A frame, or a skippable frame before it (RFC 8878, 3.1.2).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', ..] => Some(Self::By("xz")),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::By("bzip2")),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::By("lz4")),
            _ => None,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "Zstandard",
            Self::By(program) => program,
        }
    }
}

/// Unpacks the file at `path` into `to`; false where it is not compressed and nothing was written. What does not unpack to its last
/// checksum is damage of the backup.
pub fn unpack(path: &Path, to: &Path) -> Result<bool, Unloaded> {
    let unpacked = unpack_into(path, to, memory::bound());
    if matches!(unpacked, Err(Unloaded::Failed(_))) {
        // What does not fit makes room again.
        let _ = std::fs::remove_file(to);
    }
    unpacked
}

/// Within so many bytes of memory.
fn unpack_into(path: &Path, to: &Path, bound: Option<u64>) -> Result<bool, Unloaded> {
    let about = |error| Failure::io(format!("cannot read {}", path.display()), error);
    if !path.is_file() {
        return Ok(false);
    }
    let mut head = Vec::new();
    File::open(path).map_err(about)?.take(4).read_to_end(&mut head).map_err(about)?;
    let Some(packing) = Packing::of(&head) else { return Ok(false) };
    let file = BufReader::with_capacity(1 << 18, File::open(path).map_err(about)?);
    let mut program = None;
    let mut from: Box<dyn Read> = match packing {
        Packing::By(name) => {
            let mut started = start(name, path, bound)?;
            let out = started.stdout.take().ok_or_else(|| elsewhere(format!("{name} has no output")))?;
            program = Some(started);
            Box::new(out)
        }
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Packing::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(file).map_err(about)?;
            decoder.window_log_max(bound.map_or(LARGEST_WINDOW, |bound| bound.max(1 << 10).ilog2().min(LARGEST_WINDOW))).map_err(about)?;
            Box::new(decoder)
        }
    };
    let cannot = |error| Failure::io(format!("cannot unpack {} into {}", path.display(), to.display()), error);
    let mut out = File::create(to).map_err(cannot)?;
    let mut buffer = vec![0; 1 << 18];
    let (mut written, mut looked) = (0u64, 0u64);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return program.take().map_or(Ok(true), |program| ended(program, packing, path, bound)),
            Ok(read) => {
                out.write_all(&buffer[..read]).map_err(cannot)?;
                written += read as u64;
                if written - looked >= LOOK_EVERY {
                    looked = written;
                    // Whoever gave this up has taken the file away.
                    let wanted = if to.exists() { Ok(()) } else { Err(given_up(path)) };
                    let fits = wanted.and_then(|()| room::left_for(&format!("{}: unpacking it", path.display()), to));
                    if let Err(failure) = fits {
                        drop(from);
                        program.take().map(|mut program| program.kill().and_then(|()| program.wait()));
                        return Err(failure.into());
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The disk's own errors have a number of the system; the decoder's have none.
            Err(error) if error.raw_os_error().is_some() => return Err(about(error).into()),
            // `ZSTD_error_frameParameter_windowTooLarge`.
            Err(error) if error.to_string().contains("too much memory") => return Err(too_large(path, packing, bound)),
            Err(error) => {
                let said = format!("{}: compressed with {}, and does not unpack: {error}", path.display(), packing.title());
                return Err(Unloaded::Damaged(said));
            }
        }
    }
}

fn too_large(path: &Path, packing: Packing, bound: Option<u64>) -> Unloaded {
    let what = format!("{}: compressed with {}, and wants more memory to be unpacked than there is", path.display(), packing.title());
    memory::too_much(&what, bound).into()
}

fn given_up(path: &Path) -> Failure {
    Failure::new(FailureKind::Interrupted, format!("{}: stopped while it was unpacked", path.display()))
}

fn start(name: &str, path: &Path, bound: Option<u64>) -> Result<Child, Unloaded> {
    let file = File::open(path).map_err(|error| Failure::io(format!("cannot read {}", path.display()), error))?;
    let words = memory::bounded(Path::new(name), bound);
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["-d", "-c"])
        .env("LC_ALL", "C")
        .stdin(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => not_installed(path, name),
        _ => Failure::io(name, error).into(),
    })
}

fn not_installed(path: &Path, name: &str) -> Unloaded {
    elsewhere(format!("{}: compressed with {name}, which is not installed here: unpack it, or install {name}", path.display()))
}

/// What the program says at its end; it writes less than a pipe holds of it.
fn ended(program: Child, packing: Packing, path: &Path, bound: Option<u64>) -> Result<bool, Unloaded> {
    let output = program.wait_with_output().map_err(|error| Failure::io(packing.title(), error))?;
    if output.status.success() {
        return Ok(true);
    }
    // Of a shell that does not find it.
    if output.status.code() == Some(127) {
        return Err(not_installed(path, packing.title()));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if ["allocate", "emory usage limit"].iter().any(|what| said.contains(what)) {
        return Err(too_large(path, packing, bound));
    }
    let said = said.lines().next().unwrap_or_default();
    Err(Unloaded::Damaged(format!("{}: compressed with {}, and does not unpack: {said}", path.display(), packing.title())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Result<Option<Vec<u8>>, Unloaded> {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, bytes).unwrap();
        Ok(unpack(&from, &to)?.then(|| std::fs::read(&to).unwrap()))
    }

    #[test]
    fn what_was_packed_comes_back_and_what_was_cut_is_damage() {
        let text = b"a line of SQL\n".repeat(40_000);
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for packed in [gzip(&text), zstd.clone(), [gzip(&text[..7]), gzip(&text[7..])].concat()] {
            assert_eq!(unpacked(&packed).unwrap().as_deref(), Some(&text[..]));
            for keep in [packed.len() - 1, packed.len() / 2, 12] {
                assert!(matches!(unpacked(&packed[..keep]), Err(Unloaded::Damaged(_))), "cut at {keep}");
            }
            assert!(matches!(unpacked(&[&packed[..], b"more"].concat()), Err(Unloaded::Damaged(_))), "bytes after the end");
        }
        let mut flipped = gzip(&text);
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(matches!(unpacked(&flipped), Err(Unloaded::Damaged(_))), "the checksum at the end counts");
        for name in ["xz", "bzip2", "lz4"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("plain"), &text).unwrap();
            let file = File::open(dir.path().join("plain")).unwrap();
            let Ok(packed) = Command::new(name).arg("-c").stdin(file).output() else {
                eprintln!("SKIPPED: no {name} is installed");
                continue;
            };
            assert_eq!(unpacked(&packed.stdout).unwrap().as_deref(), Some(&text[..]), "{name}");
            assert!(matches!(unpacked(&packed.stdout[..packed.stdout.len() / 2]), Err(Unloaded::Damaged(_))), "{name}");
        }
        assert_eq!(unpacked(b"-- PostgreSQL database dump\n").unwrap(), None);
        assert_eq!(unpacked(b"").unwrap(), None);
    }

    /// What wants more memory than there is says nothing of what is in it; within the bound, the longest windows unpack.
    #[test]
    fn a_window_of_any_size_unpacks_where_there_is_memory_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let within = |name: &str, bytes: &[u8], bound: Option<u64>| {
            let (from, to) = (dir.path().join(name), dir.path().join("to"));
            std::fs::write(&from, bytes).unwrap();
            unpack_into(&from, &to, bound).map(|_| std::fs::read(&to).unwrap())
        };
        let refused = |unpacked: Result<Vec<u8>, Unloaded>| {
            let Err(Unloaded::Failed(failure)) = unpacked else { panic!("{unpacked:?}") };
            assert_eq!(failure.kind, FailureKind::TooLarge, "{failure}");
            assert!(failure.message.contains("wants more memory to be unpacked than there is, and may have 64 MiB"), "{failure}");
        };
        // A frame with a window of 2 GiB and one raw block, the last (RFC 8878, 3.1.1), as `zstd --long=31` writes it of more than that.
        let long = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 1 | 5 << 3, 0, 0][..], b"a row"].concat();
        assert_eq!(within("long.zst", &long, None).unwrap(), b"a row");
        refused(within("long.zst", &long, Some(64 << 20)));
        let plain = dir.path().join("plain");
        std::fs::write(&plain, "a row").unwrap();
        let packed = Command::new("xz").args(["-c", "--lzma2=preset=0,dict=96MiB"]).stdin(File::open(&plain).unwrap()).output();
        let Ok(packed) = packed else { return eprintln!("SKIPPED: no xz is installed") };
        assert_eq!(within("wide.xz", &packed.stdout, None).unwrap(), b"a row");
        refused(within("wide.xz", &packed.stdout, Some(64 << 20)));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x"), "x").unwrap();
        for bound in [None, Some(1 << 30)] {
            let ended = start("no-such-program", &dir.path().join("x"), bound)
                .and_then(|program| ended(program, Packing::By("no-such-program"), &dir.path().join("x"), bound));
            let Err(Unloaded::Failed(failure)) = ended else { panic!("{ended:?}") };
            assert!(failure.message.contains("no-such-program, which is not installed here"), "{failure}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_unpack_or_are_damage(which in 0usize..3, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let head: &[u8] = [&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00"[..], b"\x28\xb5\x2f\xfd", b""][which];
            // A window may be said to be larger than any memory.
            let of_ours = |failure: &Failure| failure.kind != FailureKind::TooLarge;
            proptest::prop_assert!(!matches!(unpacked(&[head, &bytes].concat()), Err(Unloaded::Failed(failure)) if of_ours(&failure)));
        }
    }
}
