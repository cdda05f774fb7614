//! `vigie hash`: fingerprints of images, computed here.

use futures::{StreamExt as _, stream};
use vigie_model::{Hash, ImageFingerprint};

use crate::cli::HashArgs;
use crate::commands::content::folders::{find_files, left_out};
use crate::commands::content::image_file;
use crate::commands::content::image_hasher::ImageHasher;
use crate::commands::lines::{FailedFileLine, HashLine};
use crate::output::{ErrorLine, Exit, Output, Printed};

/// Files that are hashed at once.
const AT_ONCE: usize = 4;

pub(crate) async fn run(args: HashArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    let files = find_files(&args.paths, output)?;
    let hasher = &ImageHasher::start(AT_ONCE.min(files.len())).await?;
    let progress = output.progress(u64::try_from(files.len())?, "hashing");
    let mut hashed = stream::iter(files)
        .map(|file| async move {
            let fingerprint = image_file::fingerprint(&file, hasher).await;
            (file.path, fingerprint)
        })
        .buffered(AT_ONCE);
    let mut no_images = 0;
    while let Some((path, fingerprint)) = hashed.next().await {
        progress.inc(1);
        let Some(fingerprint) = fingerprint else {
            no_images += 1;
            continue;
        };
        if fingerprint.is_err() {
            exit = Exit::SomeInputsFailed;
        }
        progress.suspend(|| tell(&path.display().to_string(), fingerprint, output))?;
    }
    progress.finish_and_clear();
    if let Some(left_out) = left_out(no_images) {
        output.note(left_out);
    }
    Ok(exit)
}

fn tell(file: &str, hashed: Result<ImageFingerprint, ErrorLine>, output: &mut Output) -> Printed {
    match hashed {
        Ok(fingerprint) => {
            let picture = &fingerprint.picture;
            for frame in picture.frames() {
                let pdq = Hash::pdq(frame.plain.pdq[0]).to_text();
                let of_frame = if picture.later.is_empty() {
                    String::new()
                } else {
                    format!("  frame {}", frame.number)
                };
                output.say(format!("{pdq}  quality {:>3}  {file}{of_frame}", frame.plain.quality))?;
            }
            if picture.frames_left_out > 0 {
                let left_out = picture.frames_left_out;
                output.note(format!("{file}: at least {left_out} more frames were not hashed"));
            }
            output.object(&HashLine::new(file, &fingerprint))
        }
        Err(error) => {
            output.note(format!("{file}: {}", error.message));
            output.object(&FailedFileLine { file, error })
        }
    }
}
