//! Authenticates the deployment's own processes: by the names in their certificates, or by a key that they
//! share.

use std::fmt;
use std::path::Path;

use thiserror::Error;
use vigie_consortium::Process;
use zeroize::Zeroizing;

/// The prefix of every bearer of a process.
pub(crate) const PREFIX: &[u8] = b"vgc_";
/// The minimum length of a key's text, in bytes: 128 bits as hexadecimal digits.
const TEXT_BYTES_MIN: usize = 32;
/// The maximum length of a key's text, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// The key that the processes of one deployment share. One bearer for each kind of process is derived from
/// it.
#[derive(Clone)]
pub struct ClusterKey(Zeroizing<[u8; 32]>);

/// The reasons why a text is not a deployment's key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClusterKeyFault {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The text is too short or too long.
    #[error(
        "has {0} bytes; it must have {TEXT_BYTES_MIN} to {TEXT_BYTES_MAX}, drawn at random: `openssl rand -hex 32`"
    )]
    Length(usize),
}

impl ClusterKey {
    /// Makes a key from a text. White space around it is ignored.
    pub fn new(text: &str) -> Result<Self, ClusterKeyFault> {
        let text = text.trim();
        if !(TEXT_BYTES_MIN..=TEXT_BYTES_MAX).contains(&text.len()) {
            return Err(ClusterKeyFault::Length(text.len()));
        }
        Ok(Self(Zeroizing::new(blake3::derive_key("vigie 2026 cluster key", text.as_bytes()))))
    }

    /// Reads the key from a file.
    pub fn read(path: &Path) -> Result<Self, ClusterKeyFault> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        Self::new(&text.map_err(|error| ClusterKeyFault::Unreadable(error.to_string()))?)
    }

    /// Returns the bearer of a process of this kind, `vgc_<kind>_<64 hexadecimal digits>`.
    #[must_use]
    pub fn bearer(&self, process: Process) -> Zeroizing<String> {
        Zeroizing::new(format!("vgc_{}_{}", word(process), self.proof(process).to_hex()))
    }

    /// Returns the process with this bearer, given without `vgc_`. The comparison takes constant time.
    pub(crate) fn process_of(&self, rest: &[u8]) -> Option<Process> {
        let process = Process::ALL.into_iter().find(|process| {
            rest.strip_prefix(word(*process).as_bytes()).is_some_and(|rest| rest.first() == Some(&b'_'))
        })?;
        let digits = &rest[word(process).len() + 1..];
        let given = blake3::Hash::from_hex(digits).ok()?;
        (given == self.proof(process)).then_some(process)
    }

    /// Returns the bytes of the key, to derive other values from.
    pub(crate) fn material(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    fn proof(&self, process: Process) -> blake3::Hash {
        blake3::keyed_hash(&self.0, word(process).as_bytes())
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(..)")
    }
}

const fn word(process: Process) -> &'static str {
    match process {
        Process::Frontend => "frontend",
        Process::Coordinator => "coordinator",
        Process::Matcher => "matcher",
        Process::Bank => "bank",
        Process::Exchange => "exchange",
        Process::Classifier => "classifier",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: &str) -> ClusterKey {
        ClusterKey::new(&letter.repeat(TEXT_BYTES_MIN)).unwrap()
    }

    #[test]
    fn a_process_is_known_by_its_bearer_and_by_no_other() {
        for process in Process::ALL {
            let bearer = key("a").bearer(process);
            let rest = bearer.as_bytes().strip_prefix(PREFIX).unwrap();
            assert_eq!(key("a").process_of(rest), Some(process));
            assert_eq!(key("b").process_of(rest), None);
            for at in 0..rest.len() {
                let mut changed = rest.to_vec();
                changed[at] ^= 1;
                assert_eq!(key("a").process_of(&changed), None, "byte {at}");
            }
            assert_eq!(key("a").process_of(&rest[..rest.len() - 1]), None);
        }
        // The proof of one kind is not valid for another.
        let frontend = key("a").bearer(Process::Frontend);
        let as_bank = frontend.replace("vgc_frontend", "bank");
        assert_eq!(key("a").process_of(as_bank.as_bytes()), None);
        assert_eq!(key("a").process_of(b""), None);
        assert!(!format!("{:?}", key("a")).contains("97"));
    }

    #[test]
    fn a_key_has_to_be_long() {
        assert_eq!(ClusterKey::new(" short\n").unwrap_err(), ClusterKeyFault::Length(5));
        assert!(ClusterKey::new(&"x".repeat(TEXT_BYTES_MAX + 1)).is_err());
        let text = "x".repeat(TEXT_BYTES_MIN);
        let with_space = ClusterKey::new(&format!(" {text}\n")).unwrap();
        assert_eq!(with_space.proof(Process::Bank), ClusterKey::new(&text).unwrap().proof(Process::Bank));
        assert!(matches!(ClusterKey::read(Path::new("no-such-file")), Err(ClusterKeyFault::Unreadable(_))));
    }
}
