//! Decoder processes that misbehave, and the thread that watches them. The misdeeds are stand-ins: a program of the tests
//! loops, allocates, aborts or opens a file when an image orders it to. No file here breaks a library.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use vigie_clients::decoder::{Decoder, DecoderError, DecoderMetrics, DecoderSettings, StartError};
use vigie_media::{Limits, Ways};
use vigie_model::{DecodeFailureKind, PictureFingerprint};
use vigie_pictures::{Format, draw};
use vigie_sandbox::{Posture, Requirement};

const STAND_IN: &str = env!("CARGO_BIN_EXE_decoder-stand-in");
const PATIENCE: Duration = Duration::from_secs(30);

fn settings() -> DecoderSettings {
    DecoderSettings {
        program: Some(PathBuf::from(STAND_IN)),
        ..DecoderSettings::for_limits(&Limits::default())
    }
}

/// A decoder and the figures of it.
struct Watched {
    decoder: Decoder,
    registry: Registry,
}

impl Watched {
    fn new(settings: DecoderSettings) -> Self {
        let mut registry = Registry::default();
        let metrics = DecoderMetrics::register(&mut registry);
        Self { decoder: Decoder::new(settings, metrics), registry }
    }

    fn hash(&mut self, content: &[u8]) -> Result<PictureFingerprint, DecoderError> {
        self.hash_within(content, PATIENCE)
    }

    fn hash_within(&mut self, content: &[u8], time: Duration) -> Result<PictureFingerprint, DecoderError> {
        self.decoder.hash(content, &Limits::default(), Ways::default(), Instant::now() + time)
    }

    fn figure(&self, line: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let value = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' ')).unwrap();
        value.parse().unwrap()
    }

    /// The process, which is there.
    fn id(&self) -> u32 {
        self.decoder.process_id().unwrap()
    }
}

fn order(deed: &str) -> Vec<u8> {
    format!("stand-in: {deed}").into_bytes()
}

fn picture() -> Vec<u8> {
    Format::Jpeg(90).encode(&draw(7, 400, 300))
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
    assert_eq!(watched.figure(&format!("vigie_decoder_deaths_total{{kind=\"{counted}\"}}")), 1, "{deed}");
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
        assert_eq!(watched.figure("vigie_decoder_deaths_total{kind=\"deadline\"}"), 1);
        assert!(watched.hash(&picture()).is_ok());
    }
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
    assert_eq!(watched.figure("vigie_decoder_deaths_total{kind=\"crashed\"}"), 0);
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
    assert_eq!(watched.figure("vigie_decoder_deaths_total{kind=\"crashed\"}"), 2);
    // The one that is stopped by the clock had its chance.
    let mut watched =
        Watched::new(DecoderSettings { processor_time_max: Duration::from_millis(200), ..settings() });
    assert!(watched.hash(&picture()).is_ok());
    assert_eq!(kind(watched.hash(&order("loop"))), DecodeFailureKind::TimedOut);
    assert_eq!(watched.figure("vigie_decoder_deaths_total{kind=\"timed_out\"}"), 1);
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
    assert_eq!(watched.figure("vigie_decoder_deaths_total{kind=\"not_started\"}"), 1);
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

fn fixtures() -> Vec<(String, Vec<u8>)> {
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
