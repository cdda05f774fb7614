//! Decoder processes that misbehave, and the thread that watches them. The misdeeds are stand-ins: a program of the tests
//! loops, allocates, aborts or opens a file when an image orders it to. No file here breaks a library.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use vigie_classifiers::PictureForm;
use vigie_clients::decoder::{
    Decoder, DecoderError, DecoderMetrics, DecoderSettings, HashedPicture, Hashing, StartError,
};
use vigie_media::{Limits, Ways};
use vigie_model::{DecodeFailureKind, PictureFingerprint};
use vigie_pictures::{Format, draw};
use vigie_sandbox::{Posture, Requirement};

const STAND_IN: &str = env!("CARGO_BIN_EXE_decoder-stand-in");
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn settings() -> DecoderSettings {
    DecoderSettings {
        program: Some(PathBuf::from(STAND_IN)),
        ..DecoderSettings::for_limits(&Limits::default())
    }
}

/// A decoder and the figures of it.
pub(super) struct Watched {
    decoder: Decoder,
    registry: Registry,
}

impl Watched {
    pub(super) fn new(settings: DecoderSettings) -> Self {
        let mut registry = Registry::default();
        let metrics = DecoderMetrics::register(&mut registry);
        Self { decoder: Decoder::new(settings, metrics), registry }
    }

    pub(super) fn hash(&mut self, content: &[u8]) -> Result<PictureFingerprint, DecoderError> {
        self.hash_within(content, PATIENCE)
    }

    pub(super) fn hash_within(
        &mut self,
        content: &[u8],
        time: Duration,
    ) -> Result<PictureFingerprint, DecoderError> {
        self.hash_in(content, &[], time).map(|hashed| hashed.fingerprint)
    }

    /// The hashes, and the first frame in these forms.
    pub(super) fn hash_in(
        &mut self,
        content: &[u8],
        forms: &[PictureForm],
        time: Duration,
    ) -> Result<HashedPicture, DecoderError> {
        self.decoder.hash(content, &Limits::default(), Ways::default(), forms, Instant::now() + time)
    }

    pub(super) fn figure(&self, line: &str) -> u64 {
        figure(&self.registry, line)
    }

    fn deaths(&self, kind: &str) -> u64 {
        self.figure(&format!("vigie_decoder_deaths_total{{kind=\"{kind}\"}}"))
    }

    /// How often the first frame alone was tried, with success and without.
    fn first_frame_tries(&self) -> [u64; 2] {
        ["hashed", "failed"].map(|outcome| {
            self.figure(&format!("vigie_decoder_first_frame_tries_total{{outcome=\"{outcome}\"}}"))
        })
    }

    /// The process, which is there.
    fn id(&self) -> u32 {
        self.decoder.process_id().unwrap()
    }
}

fn figure(registry: &Registry, line: &str) -> u64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let value = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' ')).unwrap();
    value.parse().unwrap()
}

fn order(deed: &str) -> Vec<u8> {
    format!("stand-in: {deed}").into_bytes()
}

fn picture() -> Vec<u8> {
    Format::Jpeg(90).encode(&draw(7, 400, 300))
}

/// A picture of several frames, and an order for some of them.
pub(super) fn animation(order: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/core/media/testdata/animated.gif");
    [std::fs::read(file).unwrap(), order.as_bytes().to_vec()].concat()
}

fn exists(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

/// The kind of a failure that is the image's.
fn kind(outcome: Result<PictureFingerprint, DecoderError>) -> DecodeFailureKind {
    match outcome {
        Err(DecoderError::Decode(failure)) => failure.kind,
        other => panic!("{other:?}"),
    }
}

/// The deed ends its process in a kind of failure, and the next image is hashed as if nothing had been.
#[track_caller]
fn check(deed: &str, expected: DecodeFailureKind, counted: &str) {
    check_with(settings(), deed, expected, counted);
}

#[track_caller]
fn check_with(settings: DecoderSettings, deed: &str, expected: DecodeFailureKind, counted: &str) {
    let mut watched = Watched::new(settings);
    watched.decoder.start().unwrap();
    let process = watched.id();
    let begun = Instant::now();
    assert_eq!(kind(watched.hash(&order(deed))), expected, "{deed}");
    assert!(begun.elapsed() < PATIENCE / 2, "{deed}: {:?}", begun.elapsed());
    assert!(!exists(process), "{deed}: the process is still there, or nobody waited for it");
    assert_eq!(watched.deaths(counted), 1, "{deed}");
    assert_eq!(watched.figure("vigie_decoder_workers"), 0, "{deed}");
    assert!(watched.hash(&picture()).is_ok(), "{deed}");
    assert_eq!(watched.figure("vigie_decoder_starts_total"), 2, "{deed}");
}

#[test]
fn a_process_that_ends_costs_one_image() {
    for deed in ["abort", "exit", "overflow", "half"] {
        check(deed, DecodeFailureKind::Crashed, "crashed");
    }
}

#[test]
fn a_process_that_lies_is_ended() {
    for deed in ["lie", "lie at length", "answer nothing"] {
        check(deed, DecodeFailureKind::Crashed, "crashed");
    }
}

#[test]
fn memory_ends_at_its_bound() {
    for deed in ["allocate", "allocate in pieces"] {
        let settings = DecoderSettings { memory_bytes_max: 128 << 20, ..settings() };
        check_with(settings, deed, DecodeFailureKind::OutOfMemory, "out_of_memory");
    }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn files_sockets_processes_threads_and_signals_are_refused() {
    for deed in ["open", "write", "connect", "execute", "thread", "signal"] {
        check(deed, DecodeFailureKind::RefusedCall, "refused_call");
    }
}

#[test]
fn an_endless_loop_ends_at_the_bound_of_processor_time() {
    let settings = DecoderSettings { processor_time_max: Duration::from_millis(500), ..settings() };
    check_with(settings, "loop", DecodeFailureKind::TimedOut, "timed_out");
}

#[test]
fn the_deadline_of_an_image_ends_its_process() {
    for deed in ["loop", "wait"] {
        let mut watched = Watched::new(settings());
        watched.decoder.start().unwrap();
        let (process, begun) = (watched.id(), Instant::now());
        let outcome = watched.hash_within(&order(deed), Duration::from_millis(150));
        assert!(matches!(outcome, Err(DecoderError::OutOfTime)), "{outcome:?}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(!exists(process));
        assert_eq!(watched.deaths("deadline"), 1);
        assert!(watched.hash(&picture()).is_ok());
    }
}

/// A process that neither computes nor answers, under a deadline that is far away.
#[test]
fn a_process_that_waits_ends_at_the_bound_of_time_for_that() {
    let settings = DecoderSettings { processor_time_max: Duration::from_millis(200), ..settings() };
    let begun = Instant::now();
    check_with(settings, "wait", DecodeFailureKind::TimedOut, "timed_out");
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_process_that_waits_uses_no_processor_time() {
    let mut watched =
        Watched::new(DecoderSettings { processor_time_max: Duration::from_millis(200), ..settings() });
    let outcome = watched.hash_within(&order("wait"), Duration::from_millis(1_500));
    assert!(matches!(outcome, Err(DecoderError::OutOfTime)), "{outcome:?}");
}

#[test]
fn a_panic_is_an_answer_and_renews_the_process() {
    let mut watched = Watched::new(settings());
    watched.decoder.start().unwrap();
    let process = watched.id();
    assert_eq!(kind(watched.hash(&order("panic"))), DecodeFailureKind::Panicked);
    assert!(!exists(process));
    assert_eq!(watched.deaths("crashed"), 0);
}

/// The frames before a panic are hashed, and the process is renewed as after any other panic.
#[test]
fn a_panic_in_a_later_frame_is_in_the_answer_and_renews_the_process() {
    let mut watched = Watched::new(settings());
    watched.decoder.start().unwrap();
    let process = watched.id();
    let picture = watched.hash(&animation("later frame: panic")).unwrap();
    assert_eq!((picture.frames_seen(), picture.later_fault), (1, Some(DecodeFailureKind::Panicked)));
    assert!(picture.frames_left_out > 0);
    assert!(!exists(process));
    assert_eq!((watched.deaths("crashed"), watched.first_frame_tries()), (0, [0, 0]));
}

#[test]
fn a_later_frame_that_ends_its_process_leaves_the_hash_of_the_first() {
    let whole = vigie_media::picture(&animation(""), &Limits::default(), Ways::default()).unwrap();
    assert!(whole.frames_seen() > 1 && whole.frames_left_out == 0);
    for (deed, fault, counted) in [
        ("abort", DecodeFailureKind::Crashed, "crashed"),
        ("overflow", DecodeFailureKind::Crashed, "crashed"),
        ("lie", DecodeFailureKind::Crashed, "crashed"),
        ("allocate", DecodeFailureKind::OutOfMemory, "out_of_memory"),
        ("loop", DecodeFailureKind::TimedOut, "timed_out"),
        #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
        ("open", DecodeFailureKind::RefusedCall, "refused_call"),
    ] {
        let mut watched = Watched::new(DecoderSettings {
            processor_time_max: Duration::from_millis(500),
            memory_bytes_max: 128 << 20,
            ..settings()
        });
        let picture = watched.hash(&animation(&format!("later frame: {deed}"))).unwrap();
        assert_eq!(picture.first.plain, whole.first.plain, "{deed}");
        assert_eq!((picture.frames_seen(), picture.later_fault), (1, Some(fault)), "{deed}");
        assert_eq!(picture.frames_left_out, whole.frames_seen() - 1, "{deed}");
        assert_eq!((watched.deaths(counted), watched.first_frame_tries()), (1, [1, 0]), "{deed}");
        assert_eq!(watched.figure("vigie_decoder_starts_total"), 2, "{deed}");
        assert!(watched.hash(&animation("")).unwrap() == whole, "{deed}");
    }
}

/// The first frame alone is tried once, and only where that can help.
#[test]
fn a_first_frame_that_ends_its_process_is_tried_once_more() {
    let mut watched = Watched::new(settings());
    assert_eq!(kind(watched.hash(&animation("every frame: abort"))), DecodeFailureKind::Crashed);
    assert_eq!((watched.deaths("crashed"), watched.first_frame_tries()), (2, [0, 1]));
    // In a process that has answered another image the whole file is tried once more before.
    assert!(watched.hash(&picture()).is_ok());
    assert_eq!(kind(watched.hash(&animation("every frame: abort"))), DecodeFailureKind::Crashed);
    assert_eq!((watched.deaths("crashed"), watched.first_frame_tries()), (2 + 3, [0, 2]));
    let outcome = watched.decoder.hash(
        &animation("every frame: abort"),
        &Limits { frames_max: 1, ..Limits::default() },
        Ways::default(),
        &[],
        Instant::now() + PATIENCE,
    );
    assert_eq!(kind(outcome.map(|hashed| hashed.fingerprint)), DecodeFailureKind::Crashed);
    assert_eq!((watched.deaths("crashed"), watched.first_frame_tries()), (2 + 3 + 1, [0, 2]));
    let of_one_frame = [picture(), b"every frame: abort".to_vec()].concat();
    assert_eq!(kind(watched.hash(&of_one_frame)), DecodeFailureKind::Crashed);
    assert_eq!((watched.deaths("crashed"), watched.first_frame_tries()), (2 + 3 + 1 + 1, [0, 2]));
}

/// A later frame that takes all the time there is costs neither the first frame nor more than that time.
#[test]
fn a_deadline_leaves_time_for_the_first_frame() {
    let mut watched = Watched::new(settings());
    watched.decoder.start().unwrap();
    let (begun, time) = (Instant::now(), Duration::from_secs(3));
    let picture = watched.hash_within(&animation("later frame: loop"), time).unwrap();
    assert!(begun.elapsed() < time, "{:?}", begun.elapsed());
    assert_eq!((picture.frames_seen(), picture.later_fault), (1, Some(DecodeFailureKind::TimedOut)));
    assert_eq!((watched.deaths("deadline"), watched.first_frame_tries()), (1, [1, 0]));
    let outcome = watched.hash_within(&animation("every frame: loop"), Duration::from_millis(400));
    assert!(matches!(outcome, Err(DecoderError::OutOfTime)), "{outcome:?}");
    assert_eq!(watched.first_frame_tries(), [1, 1]);
}

/// Where no process can be started at first, images are decoded in this process until one can; from then on never again.
#[test]
fn best_effort_returns_to_processes_when_they_can_be_started() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("vigie");
    let mut registry = Registry::default();
    let metrics = DecoderMetrics::register(&mut registry);
    let settings = DecoderSettings {
        program: Some(program.clone()),
        requirement: Requirement::BestEffort,
        ..settings()
    };
    let posture = |label: &str| figure(&registry, &format!("vigie_decoder_posture{{posture=\"{label}\"}}"));
    let hashing = Hashing::prepare(settings.clone(), metrics).unwrap();
    let mut hasher = hashing.hasher();
    let mut hash = |content: &[u8]| {
        let deadline = Instant::now() + PATIENCE;
        let hashed = hasher.hash(content, &Limits::default(), Ways::default(), &[], deadline);
        hashed.map(|hashed| hashed.fingerprint)
    };
    assert!(!hashing.has_processes() && hash(&picture()).is_ok());
    assert_eq!((posture("none"), figure(&registry, "vigie_decoder_starts_total")), (1, 0));
    // No order is obeyed in this process: it is no picture.
    assert_eq!(kind(hash(&order("abort"))), DecodeFailureKind::UnknownFormat);

    std::os::unix::fs::symlink(STAND_IN, &program).unwrap();
    let begun = Instant::now();
    while !hashing.has_processes() {
        assert!(begun.elapsed() < PATIENCE, "no process was started");
        std::thread::sleep(Duration::from_millis(20));
    }
    let expected = Decoder::new(settings, DecoderMetrics::default()).start().unwrap();
    assert_eq!(hashing.posture(), expected);
    if expected > Posture::None {
        assert_eq!(posture("none"), 0);
    }
    assert_eq!(kind(hash(&order("abort"))), DecodeFailureKind::Crashed);

    std::fs::remove_file(&program).unwrap();
    let outcome = hash(&picture());
    assert!(matches!(outcome, Err(DecoderError::Start(StartError::Program { .. }))), "{outcome:?}");
    std::os::unix::fs::symlink(STAND_IN, &program).unwrap();
    assert!(hash(&picture()).is_ok());
}

#[test]
fn a_fault_of_memory_is_a_crash() {
    let mut watched = Watched::new(settings());
    watched.decoder.start().unwrap();
    let process = rustix::process::Pid::from_raw(i32::try_from(watched.id()).unwrap()).unwrap();
    let killer = std::thread::spawn(move || {
        // The first one ends the standard library's own handler, which looks for the end of a stack.
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(200));
            rustix::process::kill_process(process, rustix::process::Signal::SEGV).unwrap();
        }
    });
    assert_eq!(kind(watched.hash(&order("wait"))), DecodeFailureKind::Crashed);
    killer.join().unwrap();
}

/// An image before may have left its process in ruins.
#[test]
fn an_image_is_tried_again_where_another_one_may_be_at_fault() {
    let mut watched = Watched::new(settings());
    assert!(watched.hash(&picture()).is_ok());
    assert_eq!(kind(watched.hash(&order("abort"))), DecodeFailureKind::Crashed);
    assert_eq!(watched.deaths("crashed"), 2);
    // The one that is stopped by the clock had its chance.
    let mut watched =
        Watched::new(DecoderSettings { processor_time_max: Duration::from_millis(200), ..settings() });
    assert!(watched.hash(&picture()).is_ok());
    assert_eq!(kind(watched.hash(&order("loop"))), DecodeFailureKind::TimedOut);
    assert_eq!(watched.deaths("timed_out"), 1);
}

#[test]
fn a_process_is_replaced_after_its_share_of_images() {
    let mut watched = Watched::new(DecoderSettings { images_max: 3, ..settings() });
    for _ in 0..7 {
        assert!(watched.hash(&picture()).is_ok());
    }
    assert_eq!(watched.figure("vigie_decoder_starts_total"), 3);
    assert_eq!(watched.figure("vigie_decoder_workers"), 1);
    let process = watched.id();
    drop(watched);
    assert!(!exists(process));
}

#[test]
fn a_file_that_is_no_picture_costs_no_process() {
    let mut watched = Watched::new(settings());
    assert_eq!(kind(watched.hash(b"")), DecodeFailureKind::Empty);
    assert_eq!(kind(watched.hash(b"no picture")), DecodeFailureKind::UnknownFormat);
    let half = picture();
    assert_eq!(kind(watched.hash(&half[..half.len() / 2])), DecodeFailureKind::Truncated);
    assert_eq!(watched.figure("vigie_decoder_starts_total"), 1);
}

/// The largest file passes through a pipe of 64 KB, and a deadline holds while it does.
#[test]
fn a_large_file_passes_and_one_that_is_not_taken_ends_at_its_deadline() {
    let mut watched = Watched::new(settings());
    let bytes_max = Limits::default().input_bytes_max;
    assert_eq!(kind(watched.hash(&vec![0; bytes_max])), DecodeFailureKind::UnknownFormat);
    assert_eq!(kind(watched.hash(&vec![0; bytes_max + 1])), DecodeFailureKind::TooLargeInput);
    let process = rustix::process::Pid::from_raw(i32::try_from(watched.id()).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
    let outcome = watched.hash_within(&vec![0; bytes_max], Duration::from_millis(200));
    assert!(matches!(outcome, Err(DecoderError::OutOfTime)), "{outcome:?}");
}

/// A test's own program, and any other that is not `vigie`, must never be taken for one.
#[test]
fn another_program_is_refused_with_a_clear_error() {
    let mut watched = Watched::new(DecoderSettings { program: None, ..settings() });
    let begun = Instant::now();
    let error = watched.hash(&picture()).unwrap_err();
    assert!(matches!(error, DecoderError::Start(StartError::Foreign { .. })), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(watched.deaths("not_started"), 1);
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn a_process_has_one_thread_a_filter_and_no_environment() {
    let mut watched = Watched::new(settings());
    assert!(watched.hash(&picture()).is_ok());
    let of = |file: &str| std::fs::read(format!("/proc/{}/{file}", watched.id()));
    let status = String::from_utf8(of("status").unwrap()).unwrap();
    for line in ["Threads:\t1\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    // Only the superuser may look further, since the process is not traceable.
    if let Ok(environment) = of("environ") {
        let environment = String::from_utf8(environment).unwrap();
        let names: Vec<_> =
            environment.split_terminator('\0').map(|one| one.split('=').next().unwrap()).collect();
        assert_eq!(names, ["MIMALLOC_ARENA_MAX_OBJECT_SIZE", "MIMALLOC_ARENA_RESERVE", "VIGIE_DECODER"]);
    }
}

/// Protection takes no right that a container of the restricted level does not have.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn protection_is_full_with_a_read_only_root_under_the_filter_of_a_container_runtime() {
    if Decoder::new(settings(), DecoderMetrics::default()).start().unwrap() < Posture::Full {
        println!("SKIPPED: this kernel has no Landlock");
        return;
    }
    let program = Some(PathBuf::from(env!("CARGO_BIN_EXE_contained")));
    let mut watched =
        Watched::new(DecoderSettings { program, requirement: Requirement::Required, ..settings() });
    assert_eq!(watched.decoder.start().unwrap(), Posture::Full);
    assert!(watched.hash(&picture()).is_ok());
    assert_eq!(kind(watched.hash(&order("open"))), DecodeFailureKind::RefusedCall);
    assert!(watched.hash(&picture()).is_ok());
}

pub(super) fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/core/media/testdata");
    let folders = [folder.clone(), folder.join("frames"), folder.join("jpeg")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut all: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end != "csv" && end != "py" && end != "txt"))
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    for seed in 0..12 {
        let drawn = draw(seed, 320 + 16 * u32::try_from(seed).unwrap(), 240);
        for format in [Format::Jpeg(85), Format::Png, Format::WebP] {
            all.push((format!("picture {seed} as {format:?}"), format.encode(&drawn)));
        }
    }
    all
}

#[test]
fn hashes_are_those_of_decoding_in_this_process() {
    let fixtures = fixtures();
    assert!(fixtures.len() > 80);
    let mut watched = Watched::new(settings());
    for (name, content) in fixtures {
        let here = vigie_media::picture(&content, &Limits::default(), Ways::default());
        let there = watched.hash(&content);
        match (here, there) {
            (Ok(here), Ok(there)) => assert_eq!(here, there, "{name}"),
            (Err(here), Err(DecoderError::Decode(there))) => {
                assert_eq!(vigie_model::DecodeFailure::from(here), there, "{name}");
            }
            (here, there) => panic!("{name}: {here:?} here, {there:?} there"),
        }
    }
    assert_eq!(watched.figure("vigie_decoder_starts_total"), 1);
}
