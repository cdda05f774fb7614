//! Threads that hash image and video files here, each with its decoder process.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::oneshot;
use vigie_clients::decoder::{DecoderError, DecoderMetrics, DecoderSettings, Hasher, Hashing};
use vigie_media::video::{Sampling, VideoLimits};
use vigie_media::{Limits, Ways, digest};
use vigie_model::{Hash, ImageFingerprint, VideoFingerprint};

use crate::output::ErrorLine;

/// How long one image may take: far more than its bound of processor time.
const IMAGE_WITHIN: Duration = Duration::from_secs(60);

/// How long one video may take, and the most processor time of each program: whoever waits for it can end the
/// command.
const VIDEO_WITHIN: Duration = Duration::from_secs(60 * 60);
/// The most frames of a video, if not every frame is asked for: as many as a query may have.
const VIDEO_FRAMES_MAX: u32 = 32_768;

/// A file as a video: its frames, and the digests of its bytes.
#[derive(Debug)]
pub(crate) struct HashedVideo {
    pub(crate) video: VideoFingerprint,
    pub(crate) digests: Vec<Hash>,
}

/// A file and where its hashes go.
struct Job {
    content: Vec<u8>,
    wanted: Wanted,
}

/// What is wanted of a file.
enum Wanted {
    Image(oneshot::Sender<Result<ImageFingerprint, ErrorLine>>),
    Video(Sampling, oneshot::Sender<Result<HashedVideo, ErrorLine>>),
}

/// Hashes images and videos on threads of its own: a decoder process ends with the thread that started it,
/// and the runtime's threads come and go. Its processes have as much protection as the platform gives.
pub(crate) struct ImageHasher {
    jobs: SyncSender<Job>,
}

impl ImageHasher {
    /// Starts `threads` threads.
    pub(crate) async fn start(threads: usize) -> anyhow::Result<Self> {
        let settings = DecoderSettings::for_limits(&Limits::default());
        let prepared =
            tokio::task::spawn_blocking(|| Hashing::prepare(settings, DecoderMetrics::default())).await?;
        let hashing = prepared?;
        let (jobs, waiting) = sync_channel(threads);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads {
            let (hashing, waiting) = (hashing.clone(), Arc::clone(&waiting));
            std::thread::Builder::new()
                .name(format!("hashing-{number}"))
                .spawn(move || work(&hashing, &waiting))
                .context("cannot start a thread that hashes files")?;
        }
        Ok(Self { jobs })
    }

    /// Hashes the content of an image file. At most as many at once as there are threads.
    pub(crate) async fn fingerprint(&self, content: Vec<u8>) -> Result<ImageFingerprint, ErrorLine> {
        self.ask(content, Wanted::Image).await
    }

    /// Hashes the content of a video file, of the frames that `sampling` chooses. At most as many at once as
    /// there are threads.
    pub(crate) async fn video(&self, content: Vec<u8>, sampling: Sampling) -> Result<HashedVideo, ErrorLine> {
        self.ask(content, |reply| Wanted::Video(sampling, reply)).await
    }

    async fn ask<T>(
        &self,
        content: Vec<u8>,
        wanted: impl FnOnce(oneshot::Sender<Result<T, ErrorLine>>) -> Wanted,
    ) -> Result<T, ErrorLine> {
        let (reply, answer) = oneshot::channel();
        let ended =
            || ErrorLine { code: "panicked".into(), message: "hashing it has ended early".to_owned() };
        // The queue has a slot for each that may be on its way.
        self.jobs.try_send(Job { content, wanted: wanted(reply) }).map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn work(hashing: &Hashing, waiting: &Mutex<Receiver<Job>>) {
    let mut hasher = hashing.hasher();
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { content, wanted }) = next() {
        // Nobody waits for an answer where the command has ended.
        match wanted {
            Wanted::Image(reply) => drop(reply.send(image(&mut hasher, &content))),
            Wanted::Video(sampling, reply) => drop(reply.send(video(&mut hasher, &content, sampling))),
        }
    }
}

fn image(hasher: &mut Hasher, content: &[u8]) -> Result<ImageFingerprint, ErrorLine> {
    let deadline = Instant::now() + IMAGE_WITHIN;
    let hashed =
        hasher.hash(content, &Limits::default(), Ways::default(), &[], deadline).map_err(error_line)?;
    Ok(ImageFingerprint { picture: hashed.fingerprint, digests: digest::digests(content) })
}

fn video(hasher: &mut Hasher, content: &[u8], sampling: Sampling) -> Result<HashedVideo, ErrorLine> {
    let deadline = Instant::now() + VIDEO_WITHIN;
    let mut limits = VideoLimits { within: VIDEO_WITHIN, ..VideoLimits::default() };
    if sampling != Sampling::Dense {
        limits.frames_max = VIDEO_FRAMES_MAX;
    }
    let video = hasher.hash_video(content, &limits, sampling, deadline).map_err(error_line)?;
    Ok(HashedVideo { video, digests: digest::digests(content) })
}

fn error_line(error: DecoderError) -> ErrorLine {
    match error {
        DecoderError::Decode(failure) => {
            ErrorLine { code: failure.kind.name().into(), message: failure.message }
        }
        error @ DecoderError::OutOfTime => {
            ErrorLine { code: "deadline_exceeded".into(), message: error.to_string() }
        }
        DecoderError::Start(error) => ErrorLine {
            code: "unavailable".into(),
            message: format!("no decoder process can be started: {error}"),
        },
    }
}
