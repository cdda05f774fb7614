//! The arguments of `vigie hash`.

use std::path::PathBuf;

use clap::Args;
use vigie_media::video::Sampling;

/// The longest time between two frames that are hashed, in seconds.
const SECONDS_PER_HASH_MAX: f64 = 3_600.0;
/// The default time between two frames that are hashed, in seconds.
const SECONDS_PER_HASH: f64 = 1.0;

/// Arguments of `vigie hash`.
#[derive(Debug, Args)]
pub(crate) struct HashArgs {
    /// Image and video files, or folders of them, in which other files are counted and left out
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) paths: Vec<PathBuf>,
    /// Seconds between the hashed frames of a video, as in vPDQ: counted in frames at the average frame rate,
    /// at most 3600; 0 for every frame [default: 1]. A GIF then counts as a video
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with = "dense")]
    pub(crate) seconds_per_hash: Option<f64>,
    /// Hash every frame of a video, except those that hardly differ from the one before, as for a bank. A GIF
    /// then counts as a video
    #[arg(long)]
    pub(crate) dense: bool,
}

impl HashArgs {
    /// Which frames of a video are hashed.
    pub(crate) fn sampling(&self) -> Sampling {
        if self.dense {
            Sampling::Dense
        } else {
            Sampling::ByCount(self.seconds_per_hash.unwrap_or(SECONDS_PER_HASH))
        }
    }

    /// Whether a moving picture that is an image to most is a video.
    pub(crate) const fn of_videos(&self) -> bool {
        self.dense || self.seconds_per_hash.is_some()
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "is not a number of seconds, such as 0.5".to_owned())?;
    if (0.0..=SECONDS_PER_HASH_MAX).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("is {seconds}; it must be from 0 (every frame) to {SECONDS_PER_HASH_MAX} seconds"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(line: &str) -> Result<HashArgs, String> {
        let cli = Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        let Command::Hash(args) = cli.command else { panic!("{:?}", cli.command) };
        Ok(args)
    }

    #[test]
    fn frames_are_sampled_as_asked() {
        for (line, expected, of_videos) in [
            ("vigie hash a", Sampling::ByCount(1.0), false),
            ("vigie hash a --seconds-per-hash 0.5", Sampling::ByCount(0.5), true),
            ("vigie hash a --seconds-per-hash 0", Sampling::ByCount(0.0), true),
            ("vigie hash a --dense", Sampling::Dense, true),
        ] {
            let args = parsed(line).unwrap();
            assert_eq!((args.sampling(), args.of_videos()), (expected, of_videos), "{line}");
        }
        for (line, expected) in [
            ("vigie hash a --seconds-per-hash=-1", "from 0"),
            ("vigie hash a --seconds-per-hash NaN", "from 0"),
            ("vigie hash a --seconds-per-hash soon", "is not a number"),
            ("vigie hash a --seconds-per-hash 1 --dense", "cannot be used"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
