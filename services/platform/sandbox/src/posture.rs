//! The protection that a process has, and the protection that an operator asks for.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The protection of a locked-down process. The greater one is the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Posture {
    /// At least one step other than Landlock failed, or the platform has no sandbox: do not rely on it.
    None,
    /// Limits and the filter of system calls hold; the kernel has no Landlock. No file can be opened and no
    /// socket made, by one mechanism instead of two.
    SeccompOnly,
    /// Limits, the filter, and Landlock as far as this kernel's version has it.
    Full,
}

impl Posture {
    /// All of them, the weakest first.
    pub const ALL: [Self; 3] = [Self::None, Self::SeccompOnly, Self::Full];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SeccompOnly => "seccomp only",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Posture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The protection that an operator asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// Full protection, or the role does not start. [`Posture::SeccompOnly`] is not enough.
    Required,
    /// As much protection as the platform gives.
    #[default]
    BestEffort,
    /// No process of its own: hostile input is read inside the role. For measurements, and for tests in one
    /// process.
    Off,
}

impl Requirement {
    /// Whether a process with this posture may do the work.
    #[must_use]
    pub fn accepts(self, posture: Posture) -> bool {
        match self {
            Self::Required => posture == Posture::Full,
            Self::BestEffort | Self::Off => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_protection_satisfies_required() {
        let accepted = |requirement: Requirement| Posture::ALL.map(|posture| requirement.accepts(posture));
        assert_eq!(accepted(Requirement::Required), [false, false, true]);
        assert_eq!(accepted(Requirement::BestEffort), [true; 3]);
        assert!(Posture::ALL.is_sorted());
    }
}
