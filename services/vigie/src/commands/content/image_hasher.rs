//! Threads that hash image and video files locally. Each has its own decoder process.

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

/// Maximum time for one image, far more than its limit of processor time.
const IMAGE_WITHIN: Duration = Duration::from_secs(60);

/// Maximum time for one video, and the maximum processor time of each program that decodes it. A person who
/// waits can stop the command earlier.
const VIDEO_WITHIN: Duration = Duration::from_secs(60 * 60);
/// Maximum number of frames of a video, unless every frame is requested; a query may have as many.
const VIDEO_FRAMES_MAX: u32 = 32_768;

/// The hashes of a video file: its frames, and the digests of its bytes.
#[derive(Debug)]
pub(crate) struct HashedVideo {
    pub(crate) video: VideoFingerprint,
    pub(crate) digests: Vec<Hash>,
}

/// The content of a file, and the channel for its hashes.
struct Job {
    content: Vec<u8>,
    wanted: Wanted,
}

/// The requested kind of hashes, with the channel for them.
enum Wanted {
    Image(oneshot::Sender<Result<ImageFingerprint, ErrorLine>>),
    Video(Sampling, oneshot::Sender<Result<HashedVideo, ErrorLine>>),
}

/// Hashes images and videos on its own threads. A decoder process ends with the thread that started it, and
/// the threads of the runtime come and go. The decoder processes have as much protection as the platform
/// offers.
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

    /// Hashes the content of an image file. As many run at the same time as there are threads.
    pub(crate) async fn fingerprint(&self, content: Vec<u8>) -> Result<ImageFingerprint, ErrorLine> {
        self.ask(content, Wanted::Image).await
    }

    /// Hashes the frames of a video file that `sampling` chooses. As many run at the same time as there are
    /// threads.
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
        // The queue has a slot for each job that may be in flight.
        self.jobs.try_send(Job { content, wanted: wanted(reply) }).map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn work(hashing: &Hashing, waiting: &Mutex<Receiver<Job>>) {
    let mut hasher = hashing.hasher();
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { content, wanted }) = next() {
        // If the command has ended, nobody receives the answer.
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
