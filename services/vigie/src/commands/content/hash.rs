//! `vigie hash`: computes fingerprints of images and videos locally.

use futures::{StreamExt as _, stream};
use vigie_media::begins_as_picture;
use vigie_media::video::{Container, Sampling, begins_as_video};
use vigie_model::{Hash, ImageFingerprint};

use crate::cli::HashArgs;
use crate::commands::content::folders::{FoundFile, find_files, left_out};
use crate::commands::content::image_hasher::{HashedVideo, ImageHasher};
use crate::commands::content::media_file::{self, MediaFile};
use crate::commands::lines::{FailedFileLine, HashLine, VideoLine};
use crate::output::{ErrorLine, Exit, Output, Printed};

/// Maximum number of files that are hashed at the same time.
const AT_ONCE: usize = 4;

/// The hashes of a file.
enum Hashed {
    Image(Box<ImageFingerprint>),
    Video(HashedVideo),
}

pub(crate) async fn run(args: HashArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    let files = find_files(&args.paths, output)?;
    let (sampling, is_video) =
        (args.sampling(), if args.of_videos() { begins_as_any } else { begins_as_video });
    let hasher = &ImageHasher::start(AT_ONCE.min(files.len())).await?;
    let progress = output.progress(u64::try_from(files.len())?, "hashing");
    let mut hashed = stream::iter(files)
        .map(|file| async move {
            let hashed = hash(&file, hasher, sampling, is_video).await;
            (file.path, hashed)
        })
        .buffered(AT_ONCE);
    let mut no_images = 0;
    while let Some((path, hashed)) = hashed.next().await {
        progress.inc(1);
        let Some(hashed) = hashed else {
            no_images += 1;
            continue;
        };
        if hashed.is_err() {
            exit = Exit::SomeInputsFailed;
        }
        progress.suspend(|| print(&path.display().to_string(), hashed, output))?;
    }
    progress.finish_and_clear();
    if let Some(left_out) = left_out(no_images) {
        output.note(left_out);
    }
    Ok(exit)
}

/// Returns whether the content starts like a video. Animated pictures count as videos here.
fn begins_as_any(content: &[u8]) -> bool {
    Container::of(content).is_some()
}

/// Reads and hashes a file. Returns `None` for a file that was found in a folder and is neither an image nor
/// a video.
async fn hash(
    file: &FoundFile,
    hasher: &ImageHasher,
    sampling: Sampling,
    is_video: fn(&[u8]) -> bool,
) -> Option<Result<Hashed, ErrorLine>> {
    match media_file::read(&file.path, is_video).await {
        Ok(MediaFile::Video(content)) => Some(hasher.video(content, sampling).await.map(Hashed::Video)),
        Ok(MediaFile::Other(content)) if file.in_folder && !begins_as_picture(&content) => None,
        Ok(MediaFile::Other(content)) => {
            Some(hasher.fingerprint(content).await.map(|image| Hashed::Image(Box::new(image))))
        }
        Err(error) => Some(Err(error)),
    }
}

fn print(file: &str, hashed: Result<Hashed, ErrorLine>, output: &mut Output) -> Printed {
    match hashed {
        Ok(Hashed::Image(fingerprint)) => print_image(file, &fingerprint, output),
        Ok(Hashed::Video(video)) => print_video(file, &video, output),
        Err(error) => {
            output.note(format!("{file}: {}", error.message));
            output.object(&FailedFileLine { file, error })
        }
    }
}

fn print_image(file: &str, fingerprint: &ImageFingerprint, output: &mut Output) -> Printed {
    let picture = &fingerprint.picture;
    for frame in picture.frames() {
        let pdq = Hash::pdq(frame.plain.pdq[0]).to_text();
        let of_frame =
            if picture.later.is_empty() { String::new() } else { format!("  frame {}", frame.number) };
        output.say(format!("{pdq}  quality {:>3}  {file}{of_frame}", frame.plain.quality))?;
    }
    if picture.frames_left_out > 0 {
        let left_out = picture.frames_left_out;
        output.note(format!("{file}: at least {left_out} more frames were not hashed"));
    }
    output.object(&HashLine::new(file, fingerprint))
}

fn print_video(file: &str, hashed: &HashedVideo, output: &mut Output) -> Printed {
    let HashedVideo { video, digests } = hashed;
    for frame in &video.frames {
        let pdq = Hash::pdq(frame.plain.pdq[0]).to_text();
        let (seconds, thousandths) = (frame.time_ms / 1_000, frame.time_ms % 1_000);
        let (number, quality) = (frame.number, frame.plain.quality);
        output.say(format!(
            "{pdq}  quality {quality:>3}  {file}  frame {number}  {seconds}.{thousandths:03} s"
        ))?;
    }
    if let Some(reason) = video.partial {
        output.note(format!("{file}: only a part of the video was hashed ({})", reason.name()));
    }
    output.object(&VideoLine::new(file, video, digests))
}
