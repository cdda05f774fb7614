//! The configuration of a frontend, and its limits.

mod classifiers;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_access::{AccessConfig, DirectoryConfig, ProcessesConfig};
use vigie_clients::decoder::{DecoderSettings, is_program};
use vigie_clients::{CoordinatorClient, LocalServers};
use vigie_media::video::VideoLimits;
use vigie_media::{Limits, Ways};
use vigie_model::{Quality, Query, Way};
use vigie_sandbox::Requirement;
use vigie_serving::ServingConfig;

use crate::request::floods::limits::FloodLimits;

pub use classifiers::ClassifiersConfig;

/// Configuration of a frontend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The endpoint of the coordinator, such as `http://127.0.0.1:7741`, or a list of at most 64, any of
    /// which may answer; or `embedded`: the frontend is its own coordinator, and asks the matchers itself.
    #[schemars(extend("x-value" = "URL"))]
    pub coordinator: CoordinatorAt,
    /// The configuration of an embedded coordinator. In a file it is the coordinator's own table, whose
    /// `serving` is not used.
    #[serde(skip)]
    pub embedded: vigie_coordinator::Config,
    /// The most searches with few queries that are sent to coordinators at once. Further ones wait, and share
    /// the next call.
    #[schemars(range(min = 1))]
    pub coordinator_calls_max: usize,
    /// The most queries of one shared search, 1 to 256.
    #[schemars(range(min = 1, max = Query::BATCH_MAX))]
    pub queries_per_call_max: usize,
    /// Threads that decode and hash images; 0 for as many as the machine has cores.
    pub hashing_threads: usize,
    /// The most images of one priority that wait for such a thread; interactive ones are taken first. One
    /// more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`.
    #[schemars(range(min = 1))]
    pub hashing_queue_max: usize,
    /// The lowest PDQ quality at which a hash is trusted, 0 to 100. PDQ's reference recommends 50.
    #[schemars(range(max = 100))]
    pub quality_floor: u8,
    /// The largest image, in bytes.
    #[schemars(range(min = 1))]
    pub image_bytes_max: usize,
    /// The largest decoded image, in pixels.
    #[schemars(range(min = 1))]
    pub image_pixels_max: u64,
    /// The longest side of a decoded image, in pixels.
    #[schemars(range(min = 1))]
    pub image_side_px_max: u32,
    /// The most memory for decoding one image, in bytes. A decoder process may take this, the largest file
    /// and 64 MiB together.
    #[schemars(range(min = 1))]
    pub image_alloc_bytes_max: u64,
    /// The most processor time of one image in its decoder process, in milliseconds. Then decoding stops, and
    /// the image counts as one that cannot be decoded; a file of several frames may take up to 3 seconds more
    /// for its first frame alone. Without decoder processes there is no limit.
    #[schemars(range(min = 1))]
    pub image_cpu_ms_max: u64,
    /// Whether images are decoded in processes without rights: `required` (with full protection, or the
    /// frontend does not start), `best_effort` (with as much protection as the platform gives; in the
    /// frontend itself as long as no process can be started at all), `off` (in the frontend itself).
    pub sandbox: Requirement,
    /// The program of decoder processes, which is `vigie` of the same version; the frontend's own if it is
    /// not set.
    #[schemars(extend("x-value" = "FILE"))]
    pub decoder_program: Option<PathBuf>,
    /// The program `ffmpeg`, which decodes videos, JPEG 2000, HEIC and JPEG XL, each time in a process
    /// without rights: a path, or a name that is searched for in `PATH` and in the usual folders. Videos also
    /// need `ffprobe` in the same folder. Empty for no program. Without it such files are searched only by
    /// their digests.
    #[schemars(extend("x-value" = "PROGRAM"))]
    pub ffmpeg: PathBuf,
    /// The most frames or pages of one image file that are decoded. The answer states how many were left out.
    #[schemars(range(min = 1, max = FRAMES_MAX))]
    pub image_frames_max: u32,
    /// The most pixels of all decoded frames of one image file together. The first frame is always decoded.
    pub image_frames_pixels_max: u64,
    /// Threads that decode and hash videos; 0 for none: videos are then searched by their digests alone.
    #[schemars(range(max = VIDEO_THREADS_MAX))]
    pub video_threads: usize,
    /// The most videos of one priority that wait for such a thread; interactive ones are taken first. One
    /// more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`.
    #[schemars(range(min = 1))]
    pub video_queue_max: usize,
    /// The largest video, in bytes: at most half of `serving.bytes_in_flight_max`. Videos are held in memory,
    /// and each one that is being decoded is held twice.
    #[schemars(range(min = 1))]
    pub video_bytes_max: usize,
    /// The most seconds of a video that are sampled, 1 to 14,400. The answer states when the rest was not
    /// sampled.
    #[schemars(range(min = 1, max = VIDEO_SECONDS_MAX))]
    pub video_seconds_max: u32,
    /// The most processor time of one video, in milliseconds. The frames that were hashed until then are
    /// searched, and the answer states it.
    #[schemars(range(min = 1))]
    pub video_cpu_ms_max: u64,
    /// The most queries of one call; each way of hashing a frame of an image is one query. The first frame of
    /// every image is always searched. Further frames are searched in turn, image by image, while queries are
    /// left; each answer counts the frames and ways that were left out.
    #[schemars(range(min = FIRST_FRAMES_QUERIES, max = CALL_QUERIES_MAX))]
    pub call_queries_max: usize,
    /// Further ways in which each frame is hashed and searched, in addition to the plain one.
    pub query_ways: Vec<QueryWay>,
    /// The most requests of one stream that are in progress at once; at this limit the stream is not read
    /// until one is answered. Each request takes one of the server's slots for bulk work, or shares it with
    /// the requests that the same search answers, and the stream waits for the slot.
    #[schemars(range(min = 1))]
    pub stream_requests_in_flight_max: usize,
    /// The least number of matches of one item at one member within the window for flood control to hold it
    /// for that member; 0 turns flood control off. The item must also match `flood_median_factor` times as
    /// often as others.
    pub flood_matches_min: u32,
    /// The least ratio of an item's matches at a member within the window to the median of the other items
    /// that matched there, for flood control to hold it. Where no other item matched, the median is 1.
    pub flood_median_factor: u32,
    /// The window of these counts, in seconds. It moves in steps of a tenth.
    #[schemars(range(min = 1, max = FLOOD_WINDOW_SECONDS_MAX))]
    pub flood_window_seconds: u32,
    /// The most pairs of a member and an item that are counted, of up to 250 bytes each. Beyond it, the
    /// member with the most pairs loses the pair that has not matched for the longest time.
    #[schemars(range(min = 1, max = FLOOD_PAIRS_MAX))]
    pub flood_pairs_max: usize,
    /// The classifiers that are asked.
    pub classifiers: ClassifiersConfig,
    /// Limits of the server.
    pub serving: ServingConfig,
    /// The directory of members, if there are members.
    pub directory: DirectoryConfig,
    /// Credentials of members.
    pub access: AccessConfig,
    /// The processes of the deployment. With its `cluster_key` the frontend authenticates to the others.
    pub processes: ProcessesConfig,
    /// The servers of this process, where other roles of it call the frontend as a function. The address
    /// where it listens identifies it.
    #[serde(skip)]
    pub local: Option<LocalServers>,
}

/// A way of hashing that can be switched on and off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryWay {
    /// The frame scaled up, where a side is shorter than 640 pixels: finds the large original of a thumbnail.
    Scaled,
    /// The frame without its uniform borders: finds the original of a copy with bars around it.
    Unbordered,
    /// The palette indices of a palette picture taken as grey: finds hashes by tools that hash them so.
    PaletteIndices,
}

/// Coordinators that one frontend asks.
const COORDINATORS_MAX: usize = 64;

/// The most frames of one file: each may be searched in several ways.
const FRAMES_MAX: u32 = 64;

/// The queries of the first frames of as many images as a call may have, each in every way.
const FIRST_FRAMES_QUERIES: usize = Query::BATCH_MAX * (1 + Way::FURTHER.len());

/// The most threads for videos.
const VIDEO_THREADS_MAX: usize = 256;

/// The longest stretch of a video that is sampled: four hours.
const VIDEO_SECONDS_MAX: u32 = 4 * 3_600;

/// The longest window of flood control, a day.
const FLOOD_WINDOW_SECONDS_MAX: u32 = 86_400;

/// The most pairs that flood control counts, up to 2.5 GB.
const FLOOD_PAIRS_MAX: usize = 10_000_000;

/// The most queries of one call. They are searched in turn, so that more would outlast most deadlines.
const CALL_QUERIES_MAX: usize = 16_384;

/// Where the coordinator is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
pub enum CoordinatorAt {
    /// In the frontend.
    Embedded,
    /// At these endpoints.
    Endpoints(Vec<String>),
}

const EMBEDDED: &str = "embedded";

/// The same as it is written: one word or several.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl From<Written> for CoordinatorAt {
    fn from(written: Written) -> Self {
        match written {
            Written::One(word) if word == EMBEDDED => Self::Embedded,
            Written::One(endpoint) => Self::Endpoints(vec![endpoint]),
            Written::Several(endpoints) => Self::Endpoints(endpoints),
        }
    }
}

impl From<CoordinatorAt> for Written {
    fn from(at: CoordinatorAt) -> Self {
        match at {
            CoordinatorAt::Embedded => Self::One(EMBEDDED.to_owned()),
            CoordinatorAt::Endpoints(endpoints) => Self::Several(endpoints),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let image = Limits::default();
        Self {
            coordinator: CoordinatorAt::Endpoints(vec!["http://127.0.0.1:7741".to_owned()]),
            embedded: vigie_coordinator::Config::default(),
            coordinator_calls_max: 4,
            queries_per_call_max: 64,
            hashing_threads: 0,
            hashing_queue_max: 64,
            quality_floor: Quality::FLOOR_DEFAULT.get(),
            image_bytes_max: image.input_bytes_max,
            image_pixels_max: image.pixels_max,
            image_side_px_max: image.side_px_max,
            image_alloc_bytes_max: image.alloc_bytes_max,
            image_cpu_ms_max: u64::try_from(DecoderSettings::PROCESSOR_TIME_MAX.as_millis())
                .unwrap_or(u64::MAX),
            sandbox: Requirement::default(),
            decoder_program: None,
            ffmpeg: PathBuf::from(DecoderSettings::FFMPEG),
            image_frames_max: image.frames_max,
            image_frames_pixels_max: image.frames_pixels_max,
            video_threads: 1,
            video_queue_max: 8,
            video_bytes_max: 100 << 20,
            // As many frames as a hash may have, at one a second.
            video_seconds_max: 4_096,
            video_cpu_ms_max: 60_000,
            // Eight calls to the coordinator. Three animations fit in at their full length.
            call_queries_max: 8 * Query::BATCH_MAX,
            query_ways: vec![QueryWay::Scaled, QueryWay::Unbordered, QueryWay::PaletteIndices],
            stream_requests_in_flight_max: 32,
            flood_matches_min: 1_000,
            flood_median_factor: 50,
            flood_window_seconds: 600,
            flood_pairs_max: 100_000,
            classifiers: ClassifiersConfig::default(),
            serving: ServingConfig { calls_in_flight_max: 256, ..ServingConfig::default() },
            directory: DirectoryConfig::default(),
            access: AccessConfig::default(),
            processes: ProcessesConfig::default(),
            local: None,
        }
    }
}

impl Config {
    /// Every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.serving.faults();
        let within = [
            ("directory", self.directory.faults()),
            ("access", self.access.faults()),
            ("processes", self.processes.faults()),
            ("classifiers", self.classifiers.faults()),
        ];
        for (table, of_table) in within {
            faults.extend(of_table.into_iter().map(|fault| format!("{table}.{fault}")));
        }
        if let CoordinatorAt::Endpoints(endpoints) = &self.coordinator {
            if endpoints.is_empty() || endpoints.len() > COORDINATORS_MAX {
                let count = endpoints.len();
                faults.push(format!(
                    "coordinator: has {count} endpoints; it must have 1 to {COORDINATORS_MAX}"
                ));
            }
            let checked = endpoints.iter().map(|endpoint| CoordinatorClient::check_endpoint(endpoint));
            faults.extend(checked.filter_map(Result::err).map(|error| format!("coordinator: {error}")));
        }
        if let Err(error) = Quality::new(self.quality_floor.into()) {
            faults.push(format!("quality_floor: {error}"));
        }
        if !(1..=Query::BATCH_MAX).contains(&self.queries_per_call_max) {
            faults.push(format!("queries_per_call_max: must be 1 to {}", Query::BATCH_MAX));
        }
        let at_least_one = [
            ("coordinator_calls_max", self.coordinator_calls_max >= 1),
            ("hashing_queue_max", self.hashing_queue_max >= 1),
            ("image_bytes_max", self.image_bytes_max >= 1),
            ("image_pixels_max", self.image_pixels_max >= 1),
            ("image_side_px_max", self.image_side_px_max >= 1),
            ("image_alloc_bytes_max", self.image_alloc_bytes_max >= 1),
            ("image_cpu_ms_max", self.image_cpu_ms_max >= 1),
            ("video_queue_max", self.video_queue_max >= 1),
            ("video_bytes_max", self.video_bytes_max >= 1),
            ("video_cpu_ms_max", self.video_cpu_ms_max >= 1),
            ("stream_requests_in_flight_max", self.stream_requests_in_flight_max >= 1),
        ];
        if !(1..=FRAMES_MAX).contains(&self.image_frames_max) {
            faults.push(format!("image_frames_max: must be 1 to {FRAMES_MAX}"));
        }
        if self.video_threads > VIDEO_THREADS_MAX {
            faults.push(format!("video_threads: must be 0 to {VIDEO_THREADS_MAX}"));
        }
        if !(1..=VIDEO_SECONDS_MAX).contains(&self.video_seconds_max) {
            faults.push(format!("video_seconds_max: must be 1 to {VIDEO_SECONDS_MAX}"));
        }
        let room = self.serving.bytes_in_flight_max / 2;
        if self.video_bytes_max > room {
            faults.push(format!(
                "video_bytes_max: must be at most half of serving.bytes_in_flight_max, {room}"
            ));
        }
        if !(FIRST_FRAMES_QUERIES..=CALL_QUERIES_MAX).contains(&self.call_queries_max) {
            faults.push(format!("call_queries_max: must be {FIRST_FRAMES_QUERIES} to {CALL_QUERIES_MAX}"));
        }
        if !(1..=FLOOD_WINDOW_SECONDS_MAX).contains(&self.flood_window_seconds) {
            faults.push(format!("flood_window_seconds: must be 1 to {FLOOD_WINDOW_SECONDS_MAX}"));
        }
        if !(1..=FLOOD_PAIRS_MAX).contains(&self.flood_pairs_max) {
            faults.push(format!("flood_pairs_max: must be 1 to {FLOOD_PAIRS_MAX}"));
        }
        // A name that is not found is no fault: the program is optional.
        if let Some(program) = self.decoder_program.as_ref().filter(|program| !is_program(program)) {
            faults.push(format!("decoder_program: {} is not there, or is no program", program.display()));
        }
        if self.ffmpeg.components().nth(1).is_some() && !is_program(&self.ffmpeg) {
            faults.push(format!("ffmpeg: {} is not there, or is no program", self.ffmpeg.display()));
        }
        let missed = at_least_one.into_iter().filter(|(_, holds)| !holds);
        faults.extend(missed.map(|(field, _)| format!("{field}: must be at least 1")));
        faults
    }

    pub(crate) fn image_limits(&self) -> Limits {
        Limits {
            pixels_max: self.image_pixels_max,
            side_px_max: self.image_side_px_max,
            input_bytes_max: self.image_bytes_max,
            alloc_bytes_max: self.image_alloc_bytes_max,
            frames_max: self.image_frames_max,
            frames_pixels_max: self.image_frames_pixels_max,
            further_frames_within: Limits::FURTHER_FRAMES_WITHIN,
        }
    }

    pub(crate) fn video_limits(&self) -> VideoLimits {
        VideoLimits {
            input_bytes_max: self.video_bytes_max,
            side_px_max: self.image_side_px_max,
            pixels_max: self.image_pixels_max,
            length_max: Duration::from_secs(self.video_seconds_max.into()),
            within: Duration::from_millis(self.video_cpu_ms_max),
            ..VideoLimits::default()
        }
    }

    /// `None` where flood control is off.
    pub(crate) fn flood_limits(&self) -> Option<FloodLimits> {
        (self.flood_matches_min > 0).then(|| FloodLimits {
            matches_min: self.flood_matches_min,
            median_factor: self.flood_median_factor,
            window: Duration::from_secs(self.flood_window_seconds.into()),
            pairs_max: self.flood_pairs_max,
        })
    }

    pub(crate) fn decoder_settings(&self) -> DecoderSettings {
        DecoderSettings {
            program: self.decoder_program.clone(),
            requirement: self.sandbox,
            ffmpeg: self.ffmpeg.clone(),
            processor_time_max: Duration::from_millis(self.image_cpu_ms_max),
            ..DecoderSettings::for_limits(&self.image_limits())
        }
    }

    pub(crate) fn ways(&self) -> Ways {
        Ways {
            scaled: self.query_ways.contains(&QueryWay::Scaled),
            unbordered: self.query_ways.contains(&QueryWay::Unbordered),
            palette_indices: self.query_ways.contains(&QueryWay::PaletteIndices),
        }
    }

    pub(crate) fn hashing_threads(&self) -> usize {
        match self.hashing_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }

    /// The largest message: one image of the largest size, and room for what goes with it.
    pub(crate) const fn message_bytes_max(&self) -> usize {
        self.image_bytes_max + (1 << 20)
    }
}
