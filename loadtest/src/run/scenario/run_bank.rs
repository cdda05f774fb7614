//! The banks that runs create, and their names.

use std::fmt;

use clap::ValueEnum as _;

use crate::cli::ShapeName;

/// A bank that a run creates. Its display form is the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunBank {
    /// The data of a scenario; the bank stays for later runs.
    Data {
        shape: ShapeName,
        hashes: u32,
        pictures: u32,
        /// Number of videos, and the most frames of one.
        videos: Option<(u32, u32)>,
        seed: u64,
    },
    /// The writes of one run; the bank is deleted when the run ends.
    Live(u64),
}

impl fmt::Display for RunBank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data { shape, hashes, pictures, videos, seed } => {
                write!(f, "load-{shape}-{hashes}-{pictures}")?;
                if let Some((videos, frames)) = videos {
                    write!(f, "-videos-{videos}-{frames}")?;
                }
                write!(f, "-seed-{seed}")
            }
            Self::Live(number) => write!(f, "load-live-{number:016x}"),
        }
    }
}

impl RunBank {
    /// Returns the bank with this name, if a run would use it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let words: Vec<&str> = name.split('-').collect();
        let bank = match words[..] {
            ["load", "live", number] => Self::Live(u64::from_str_radix(number, 16).ok()?),
            ["load", shape, hashes, pictures, "seed", seed] => Self::Data {
                shape: ShapeName::from_str(shape, false).ok()?,
                hashes: hashes.parse().ok()?,
                pictures: pictures.parse().ok()?,
                videos: None,
                seed: seed.parse().ok()?,
            },
            ["load", shape, hashes, pictures, "videos", videos, frames, "seed", seed] => Self::Data {
                shape: ShapeName::from_str(shape, false).ok()?,
                hashes: hashes.parse().ok()?,
                pictures: pictures.parse().ok()?,
                videos: Some((videos.parse().ok()?, frames.parse().ok()?)),
                seed: seed.parse().ok()?,
            },
            _ => return None,
        };
        // Numbers in other forms, such as `+7` or `007`, are not accepted, because no run writes them.
        (bank.to_string() == name).then_some(bank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_runs_are_known_again_and_nothing_like_them_is() {
        let data =
            RunBank::Data { shape: ShapeName::Pdq, hashes: 20_000, pictures: 8, videos: None, seed: 1 };
        let videos = RunBank::Data {
            shape: ShapeName::Pdq,
            hashes: 1,
            pictures: 0,
            videos: Some((u32::MAX, 2_048)),
            seed: u64::MAX,
        };
        assert!(videos.to_string().parse::<vigie_model::BankName>().is_ok());
        for bank in [data, videos, RunBank::Live(0x0123_4567_89ab_cdef), RunBank::Live(7)] {
            assert_eq!(RunBank::named(&bank.to_string()), Some(bank));
        }
        for name in [
            "known",
            "load",
            "load-live",
            "load-live-7",
            "load-live-0123456789ABCDEF",
            "load-live-0123456789abcdef-2",
            "load-live-members-of-ours",
            "my-load-live-0123456789abcdef",
            "load-pdq-20000-8-seed-01",
            "load-pdq-20000-8-seed-+1",
            "load-pdq-20000-8-seed-1-backup",
            "load-pdq-20000-8-seed-",
            "load-pdq-20000-8-videos-7-seed-1",
            "load-pdq-20000-8-videos-7-060-seed-1",
            "load-PDQ-20000-8-seed-1",
            "load-md5-20000-8-seed-1",
            "load-pdq-4294967296-8-seed-1",
            "vigie-try-0123456789abcdef",
        ] {
            assert_eq!(RunBank::named(name), None, "{name}");
        }
    }
}
