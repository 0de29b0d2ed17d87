//! How an auditor checks a log without us: the exact shell text, in one place, so that the report's footer, the README and the tests
//! show the same. Needs `sh`, `sed`, `base64`, `openssl` 3, `ssh-keygen` and `python3`; none of ours.
//!
//! The key comes from the auditor's own files, never from the log's directory.

use std::path::Path;

use crate::signing::sshsig;

/// One step: what it shows, and the shell text that shows it. The steps share a working directory and run in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// For people.
    pub title: &'static str,
    /// POSIX shell; ends with status 0 only if the step holds.
    pub shell: String,
}

/// The RFC 6962 root over the first SIZE entries, in base64, as line 3 of a checkpoint has it. Arguments: LOG SIZE.
pub const ROOT_PY: &str = r#"import base64, glob, hashlib, sys
def root(nodes):
    if len(nodes) == 1:
        return nodes[0]
    left = 1 << ((len(nodes) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + root(nodes[:left]) + root(nodes[left:])).digest()
files = sorted(glob.glob(sys.argv[1] + "/entries/*.json"))[:int(sys.argv[2])]
leaves = [hashlib.sha256(b"\x00" + open(name, "rb").read()).digest() for name in files]
print(base64.b64encode(root(leaves)).decode())
"#;

/// The steps for the checkpoint of `size` entries of `log`, whose origin is `origin`, with the auditor's copy of the public key.
pub fn steps(log: &Path, key: &Path, origin: &str, size: u64) -> Vec<Step> {
    let (log_text, key, name) = (quoted_path(log), quoted_path(key), quoted(origin));
    let checkpoint = quoted_path(&log.join(format!("checkpoints/{size:08}")));
    let sshsig = quoted_path(&log.join(format!("checkpoints/{size:08}.sshsig")));
    let namespace = sshsig::CHECKPOINT_NAMESPACE;
    // In a sed pattern the dots and slashes of a name are not plain letters; awk compares words.
    let signature = format!("awk -v name={name} '$2 == name {{ print $3; exit }}' {checkpoint} | base64 -d | tail -c 64 > signature.bin");
    vec![
        Step {
            title: "The checkpoint is signed by the key",
            shell: format!(
                "sed -n 1,3p {checkpoint} > checkpoint.txt\n{signature}\nopenssl pkeyutl -verify -rawin -pubin -inkey {key} -in checkpoint.txt -sigfile signature.bin"
            ),
        },
        Step {
            title: "The same, by OpenSSH",
            shell: format!(
                "{{ printf '\\0\\0\\0\\013ssh-ed25519\\0\\0\\0\\040'; openssl pkey -pubin -in {key} -outform DER | tail -c 32; }} | base64 | tr -d '\\n' > key.b64\n\
                 printf '%s namespaces=\"{namespace}\" ssh-ed25519 %s\\n' {name} \"$(cat key.b64)\" > allowed_signers\n\
                 ssh-keygen -Y verify -f allowed_signers -I {name} -n {namespace} -s {sshsig} < checkpoint.txt"
            ),
        },
        Step {
            title: "Its root is the root of the entries",
            shell: format!(
                "cat > root.py <<'END'\n{ROOT_PY}END\ntest \"$(python3 root.py {log_text} {size})\" = \"$(sed -n 3p checkpoint.txt)\""
            ),
        },
    ]
}

/// One line that repeats the rank of a recovery point in a draw, from the seed of `drill.planned`.
pub fn rank_line(seed_hex: &str, point: &str) -> String {
    format!("printf %s {} | openssl dgst -sha256 -mac HMAC -macopt hexkey:{seed_hex} -r", quoted(point))
}

/// All steps as one script that stops at the first that does not hold.
pub fn script(steps: &[Step]) -> String {
    let mut script = String::from("set -eu\n");
    for step in steps {
        script += &format!("# {}\n{}\n", step.title, step.shell);
    }
    script
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// As one word of a POSIX shell; plain words stay as they are.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:@%+=,".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_the_shell_would_change_are_quoted() {
        assert_eq!(quoted("/a/b-1.pem"), "/a/b-1.pem");
        assert_eq!(quoted("/a b"), "'/a b'");
        assert_eq!(quoted("it's $x"), "'it'\\''s $x'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_script_for_the_root_has_at_most_ten_lines() {
        assert!(ROOT_PY.lines().count() <= 10);
    }
}
