//! What somebody without the key can do to the files of a log.

use attestore::signing::checkpoint::Checkpoint;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::verify::fault::Rule;

use crate::support::*;
use crate::tamper::How::Files;
use crate::tamper::{Tamper, all_end_in_their_fault};

pub fn files() -> Vec<Tamper> {
    vec![
        (
            "flip a byte",
            Rule::RootDiffers,
            Files(|world| {
                let path = world.log().entry_path(3);
                let text = std::fs::read_to_string(&path).unwrap().replacen("crm", "crn", 1);
                std::fs::write(path, text).unwrap();
            }),
        ),
        ("drop an entry", Rule::EntryMissing, Files(|world| std::fs::remove_file(world.log().entry_path(4)).unwrap())),
        (
            "reorder two entries",
            Rule::SeqNotIndex,
            Files(|world| {
                let (one, two) = (world.log().entry_path(6), world.log().entry_path(7));
                let bytes = (std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
                std::fs::write(one, bytes.1).unwrap();
                std::fs::write(two, bytes.0).unwrap();
            }),
        ),
        (
            "truncate",
            Rule::LogTruncated,
            Files(|world| {
                std::fs::remove_file(world.log().entry_path(world.last_checkpoint() - 1)).unwrap();
            }),
        ),
        (
            "truncate and keep only the signature",
            Rule::LogTruncated,
            Files(|world| {
                let size = world.last_checkpoint();
                std::fs::remove_file(world.log().entry_path(size - 1)).unwrap();
                std::fs::remove_file(world.log().checkpoint_path(size)).unwrap();
            }),
        ),
        (
            "add a stranger's entry",
            Rule::TailNotVouched,
            Files(|world| {
                let size = world.last_checkpoint();
                let bytes = std::fs::read(world.log().entry_path(size - 1)).unwrap();
                std::fs::write(world.log().entry_path(size), bytes).unwrap();
            }),
        ),
        ("add a file", Rule::UnexpectedFile, Files(|world| std::fs::write(world.path.join("entries/note.txt"), "hello").unwrap())),
        (
            "add a file to the evidence",
            Rule::UnexpectedFile,
            Files(|world| {
                std::fs::write(world.path.join("evidence/sha256/notes"), "hello").unwrap();
            }),
        ),
        (
            "take a checkpoint away",
            Rule::CheckpointMissing,
            Files(|world| {
                let size = *world.log().listing().unwrap().checkpoints.iter().nth(2).unwrap();
                std::fs::remove_file(world.log().checkpoint_path(size)).unwrap();
            }),
        ),
        (
            "take the last checkpoint away",
            Rule::TailNotVouched,
            Files(|world| {
                std::fs::remove_file(world.log().checkpoint_path(world.last_checkpoint())).unwrap();
            }),
        ),
        (
            "scribble over a checkpoint",
            Rule::CheckpointUnreadable,
            Files(|world| {
                std::fs::write(world.log().checkpoint_path(world.last_checkpoint()), "all is well\n").unwrap();
            }),
        ),
        (
            "pass an old checkpoint for the last",
            Rule::CheckpointMisnamed,
            Files(|world| {
                std::fs::copy(world.log().checkpoint_path(1), world.log().checkpoint_path(world.last_checkpoint())).unwrap();
            }),
        ),
        (
            "change a signature",
            Rule::SignatureBad,
            Files(|world| {
                let path = world.log().checkpoint_path(world.last_checkpoint());
                let text = std::fs::read_to_string(&path).unwrap();
                // The last digits are those of the signature's second half.
                let at = text.len() - 12;
                let other = if &text[at..=at] == "A" { "B" } else { "A" };
                std::fs::write(path, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
            }),
        ),
        (
            "sign a checkpoint with another key",
            Rule::SignatureBad,
            Files(|world| {
                let size = world.last_checkpoint();
                let checkpoint = Checkpoint::parse_unverified(&world.log().checkpoint_text(size).unwrap()).unwrap();
                put_checkpoint(world, &checkpoint, &SigningKey::from_seed(&[66; 32]));
            }),
        ),
        (
            "take an SSH signature away",
            Rule::SshsigMissing,
            Files(|world| {
                std::fs::remove_file(world.log().sshsig_path(world.last_checkpoint())).unwrap();
            }),
        ),
        (
            "swap two SSH signatures",
            Rule::SshsigBad,
            Files(|world| {
                std::fs::copy(world.log().sshsig_path(1), world.log().sshsig_path(world.last_checkpoint())).unwrap();
            }),
        ),
        (
            "put other evidence in place",
            Rule::EvidenceDiffers,
            Files(|world| {
                let (digests, _) = world.log().evidence_names().unwrap();
                std::fs::write(world.log().evidence_path(digests.first().unwrap()), zstd::encode_all(&b"other"[..], 1).unwrap()).unwrap();
            }),
        ),
        (
            "make the whole log with another key",
            Rule::WrongKey,
            Files(|world| {
                let other = build(Story { key: SigningKey::from_seed(&[66; 32]), ..Story::default() });
                std::fs::remove_dir_all(&world.path).unwrap();
                copy(&other.path, &world.path);
            }),
        ),
    ]
}

#[test]
fn changed_files_end_in_their_named_fault() {
    all_end_in_their_fault(files());
}
