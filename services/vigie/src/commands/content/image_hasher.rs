//! Threads that hash image files here, each with its decoder process.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::oneshot;
use vigie_clients::decoder::{DecoderError, DecoderMetrics, DecoderSettings, Hashing};
use vigie_media::{Limits, Ways, digest};
use vigie_model::ImageFingerprint;

use crate::output::ErrorLine;

/// How long one image may take: far more than its bound of processor time.
const IMAGE_WITHIN: Duration = Duration::from_secs(60);

type Answer = Result<ImageFingerprint, ErrorLine>;

/// A file and where its hashes go.
struct Job {
    content: Vec<u8>,
    reply: oneshot::Sender<Answer>,
}

/// Hashes images on threads of its own: a decoder process ends with the thread that started it, and the runtime's threads come
/// and go. Its processes have as much protection as the platform gives.
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
                .context("cannot start a thread that hashes images")?;
        }
        Ok(Self { jobs })
    }

    /// Hashes the content of a file. At most as many at once as there are threads.
    pub(crate) async fn fingerprint(&self, content: Vec<u8>) -> Answer {
        let (reply, answer) = oneshot::channel();
        let ended =
            || ErrorLine { code: "panicked".into(), message: "hashing it has ended early".to_owned() };
        // The queue has a slot for each that may be on its way.
        self.jobs.try_send(Job { content, reply }).map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn work(hashing: &Hashing, waiting: &Mutex<Receiver<Job>>) {
    let mut hasher = hashing.hasher();
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { content, reply }) = next() {
        let deadline = Instant::now() + IMAGE_WITHIN;
        let picture = hasher.hash(&content, &Limits::default(), Ways::default(), deadline);
        let answer = match picture {
            Ok(picture) => Ok(ImageFingerprint { picture, digests: digest::digests(&content) }),
            Err(DecoderError::Decode(failure)) => {
                Err(ErrorLine { code: failure.kind.name().into(), message: failure.message })
            }
            Err(error @ DecoderError::OutOfTime) => {
                Err(ErrorLine { code: "deadline_exceeded".into(), message: error.to_string() })
            }
            Err(DecoderError::Start(error)) => Err(ErrorLine {
                code: "unavailable".into(),
                message: format!("no decoder process can be started: {error}"),
            }),
        };
        // Nobody waits for it where the command has ended.
        let _ = reply.send(answer);
    }
}
