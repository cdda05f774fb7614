//! Metrics of the decoder processes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use vigie_media::outside::Coding;
use vigie_model::{DecodeFailureKind, VideoFingerprint, VideoPartial};
use vigie_sandbox::Posture;

use super::failure::{DecoderError, WorkerDeath};
use super::ffmpeg::RunFault;

/// Counts processes: running ones, started ones, and deaths by kind. Clones share their counts.
#[derive(Debug, Clone, Default)]
pub struct DecoderMetrics {
    workers: Gauge,
    starts: Counter,
    deaths: Family<DeathLabels, Counter>,
    first_frame_tries: Family<OutcomeLabels, Counter>,
    posture: Family<PostureLabels, Gauge>,
    formats: Family<FormatLabels, Gauge>,
    runs: Counter,
    run_failures: Family<DeathLabels, Counter>,
    decodes_video: Gauge,
    videos: Counter,
    video_frames: Counter,
    video_failures: Family<DeathLabels, Counter>,
    video_partials: Family<ReasonLabels, Counter>,
}

/// The label set has one value for each [`VideoPartial`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// The label set has one value for each [`Coding`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FormatLabels {
    format: &'static str,
}

/// Returns the label of a coding: one word, like all labels.
const fn format_label(coding: Coding) -> &'static str {
    match coding {
        Coding::Jpeg2000 => "jpeg_2000",
        Coding::Hevc => "heic",
        Coding::JpegXl => "jpeg_xl",
    }
}

/// The label set has one value for each [`WorkerDeath`], and one for processes that could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeathLabels {
    kind: &'static str,
}

/// The label set has one value for each of [`HASHED`] and [`FAILED`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// The label set has one value for each [`Posture`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PostureLabels {
    posture: &'static str,
}

/// The kind of a process that could not be started.
const NOT_STARTED: &str = "not_started";

/// The kind of a video whose deadline passed first.
const DEADLINE: &str = WorkerDeath::Deadline.name();

/// The first frame of a file was hashed after its process had died.
const HASHED: &str = "hashed";
/// The first frame was not hashed either: the file has no picture hashes.
const FAILED: &str = "failed";

/// Returns the label of a posture: one word, like all labels.
const fn label(posture: Posture) -> &'static str {
    match posture {
        Posture::None => "none",
        Posture::SeccompOnly => "seccomp_only",
        Posture::Full => "full",
    }
}

impl DecoderMetrics {
    /// Creates the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { workers, starts, deaths, first_frame_tries, posture, formats, runs, run_failures, .. } =
            metrics.clone();
        registry.register("vigie_decoder_workers", "Decoder processes that run", workers);
        registry.register("vigie_decoder_starts", "Decoder processes that were started", starts);
        registry.register(
            "vigie_decoder_deaths",
            "Decoder processes that died or were killed while they decoded an image, by kind, and those that could not be started",
            deaths,
        );
        registry.register(
            "vigie_decoder_first_frame_tries",
            "Files of several frames that killed their process and whose first frame was then tried alone, by outcome: hashed, failed",
            first_frame_tries,
        );
        registry.register(
            "vigie_decoder_posture",
            "1 for the protection that decoder processes have: full, seccomp_only, or none, which is also that of decoding \
             without processes",
            posture,
        );
        registry.register(
            "vigie_ffmpeg_formats",
            "1 for each format that the program ffmpeg decodes here; 0 where it is missing or has no such decoder",
            formats,
        );
        registry.register("vigie_ffmpeg_runs", "Pictures that ffmpeg was started for", runs);
        registry.register(
            "vigie_ffmpeg_failures",
            "Pictures that ffmpeg gave no pixels of, by kind; refused is the program's own word for a damaged or unknown file",
            run_failures,
        );
        metrics.register_videos(registry);
        for kind in RunFault::NAMES {
            let _counter = metrics.run_failures.get_or_create_owned(&DeathLabels { kind });
        }
        metrics.decodes(&[]);
        // Every kind is registered at zero: a series that begins at one has no rate.
        for kind in WorkerDeath::ALL.map(WorkerDeath::name).into_iter().chain([NOT_STARTED]) {
            let _counter = metrics.deaths.get_or_create_owned(&DeathLabels { kind });
        }
        for outcome in [HASHED, FAILED] {
            let _counter = metrics.first_frame_tries.get_or_create_owned(&OutcomeLabels { outcome });
        }
        metrics.protected_by(Posture::None);
        metrics
    }

    fn register_videos(&self, registry: &mut Registry) {
        let Self { decodes_video, videos, video_frames, video_failures, video_partials, .. } = self.clone();
        registry.register(
            "vigie_video_decoder",
            "1 if ffmpeg and ffprobe decode videos here; 0 where one is missing or was not looked for yet",
            decodes_video,
        );
        registry.register(
            "vigie_videos",
            "Files that were to be hashed as videos by ffprobe and ffmpeg",
            videos,
        );
        registry.register("vigie_video_frames", "Frames of videos that were hashed and kept", video_frames);
        registry.register(
            "vigie_video_failures",
            "Videos of which no frame was hashed, by kind; deadline is that of the call",
            video_failures,
        );
        registry.register(
            "vigie_video_partial",
            "Videos of which only a part was sampled, by reason",
            video_partials,
        );
        for kind in DecodeFailureKind::ALL.map(DecodeFailureKind::name).into_iter().chain([DEADLINE]) {
            let _counter = self.video_failures.get_or_create_owned(&DeathLabels { kind });
        }
        for reason in VideoPartial::ALL.map(VideoPartial::name) {
            let _counter = self.video_partials.get_or_create_owned(&ReasonLabels { reason });
        }
    }

    /// Sets the protection of decoding.
    pub fn protected_by(&self, posture: Posture) {
        for one in Posture::ALL {
            let labels = PostureLabels { posture: label(one) };
            self.posture.get_or_create_owned(&labels).set(i64::from(one == posture));
        }
    }

    /// Sets the formats that the external program decodes.
    pub(super) fn decodes(&self, decoders: &[(Coding, String)]) {
        for coding in Coding::ALL {
            let labels = FormatLabels { format: format_label(coding) };
            let is_there = decoders.iter().any(|(one, _)| *one == coding);
            self.formats.get_or_create_owned(&labels).set(i64::from(is_there));
        }
    }

    /// Counts a start of the external program for a picture.
    pub(super) fn ran(&self) {
        self.runs.inc();
    }

    pub(super) fn run_failed(&self, fault: RunFault) {
        self.run_failures.get_or_create_owned(&DeathLabels { kind: fault.name() }).inc();
    }

    /// Sets whether the programs for videos are available.
    pub(super) fn decodes_video(&self, is_there: bool) {
        self.decodes_video.set(i64::from(is_there));
    }

    /// Counts a start of the programs for a video.
    pub(super) fn ran_for_video(&self) {
        self.videos.inc();
    }

    /// Counts the outcome of a video.
    pub(super) fn hashed_video(&self, hashed: &Result<VideoFingerprint, DecoderError>) {
        let failed = |kind| {
            self.video_failures.get_or_create_owned(&DeathLabels { kind }).inc();
        };
        match hashed {
            Ok(VideoFingerprint { frames, partial, .. }) => {
                self.video_frames.inc_by(u64::try_from(frames.len()).unwrap_or(u64::MAX));
                if let Some(reason) = partial.map(VideoPartial::name) {
                    self.video_partials.get_or_create_owned(&ReasonLabels { reason }).inc();
                }
            }
            Err(DecoderError::Decode(failure)) => failed(failure.kind.name()),
            Err(DecoderError::OutOfTime) => failed(DEADLINE),
            Err(DecoderError::Start(_)) => failed(DecodeFailureKind::Unavailable.name()),
        }
    }

    pub(super) fn started(&self, posture: Posture) {
        self.starts.inc();
        self.workers.inc();
        self.protected_by(posture);
    }

    pub(super) fn start_failed(&self) {
        self.deaths.get_or_create_owned(&DeathLabels { kind: NOT_STARTED }).inc();
    }

    pub(super) fn died(&self, death: WorkerDeath) {
        self.workers.dec();
        self.deaths.get_or_create_owned(&DeathLabels { kind: death.name() }).inc();
    }

    pub(super) fn tried_first_frame(&self, hashed: bool) {
        let outcome = if hashed { HASHED } else { FAILED };
        self.first_frame_tries.get_or_create_owned(&OutcomeLabels { outcome }).inc();
    }

    pub(super) fn retired(&self) {
        self.workers.dec();
    }
}
