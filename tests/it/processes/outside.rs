//! Pictures that the program `ffmpeg` decodes: the installed one, and a stand-in that misbehaves.
//!
//! `VIGIE_FFMPEG` names another program than that of `PATH`. With `VIGIE_REQUIRE_FFMPEG` set its absence is a
//! failure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use vigie_clients::decoder::{DecoderError, DecoderMetrics, DecoderSettings, FfmpegAbsence, Hashing};
use vigie_media::{Limits, Ways};
use vigie_model::{DecodeFailureKind, PdqHash, PictureFingerprint};
use vigie_sandbox::{Posture, Requirement};

use super::decoder::Watched;

const DECODER: &str = env!("CARGO_BIN_EXE_decoder-stand-in");
const FFMPEG: &str = env!("CARGO_BIN_EXE_ffmpeg-stand-in");
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest accepted distance between a hash and the expected one, in bits.
const BITS_MAX: u32 = 2;

fn settings(ffmpeg: impl Into<PathBuf>) -> DecoderSettings {
    DecoderSettings {
        program: Some(PathBuf::from(DECODER)),
        ffmpeg: ffmpeg.into(),
        ..DecoderSettings::for_limits(&Limits::default())
    }
}

/// Returns settings with the installed program; `None` where there is none.
fn installed() -> Option<DecoderSettings> {
    let settings = settings(env::var("VIGIE_FFMPEG").unwrap_or_else(|_| DecoderSettings::FFMPEG.to_owned()));
    match Hashing::prepare(settings.clone(), DecoderMetrics::default()).unwrap().ffmpeg() {
        Ok(report) => {
            eprintln!("{report:?}");
            Some(settings)
        }
        Err(absence) => {
            assert!(
                env::var_os("VIGIE_REQUIRE_FFMPEG").is_none(),
                "{absence}, and VIGIE_REQUIRE_FFMPEG is set"
            );
            eprintln!(
                "SKIPPED: {absence}, so what it decodes is not tested. Debian and Ubuntu: apt-get install ffmpeg"
            );
            None
        }
    }
}

/// Returns the header of a JPEG 2000 codestream with the stand-in's size, and an order in a comment.
fn order(deed: &str) -> Vec<u8> {
    let comment = format!("stand-in: {deed}\n");
    let (width, height) = (80_u32, 60_u32);
    let mut content = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
    for number in [width, height, 0, 0, width, height, 0, 0] {
        content.extend(number.to_be_bytes());
    }
    content.extend([0, 1, 7, 1, 1, 0xff, 0x64]);
    content.extend(u16::try_from(comment.len() + 2).unwrap().to_be_bytes());
    content.extend(comment.as_bytes());
    content.extend([0xff, 0x90, 0, 10, 0, 0, 0, 0, 0, 14, 0, 1, 0xff, 0x93, 0xff, 0xd9]);
    content
}

fn failure(outcome: Result<PictureFingerprint, DecoderError>) -> (DecodeFailureKind, String) {
    match outcome {
        Err(DecoderError::Decode(failure)) => (failure.kind, failure.message),
        other => panic!("{other:?}"),
    }
}

/// Checks that the action ends in this failure, and that the next picture is hashed normally.
#[track_caller]
fn check(deed: &str, expected: DecodeFailureKind, counted: &str) {
    let mut watched =
        Watched::new(DecoderSettings { processor_time_max: Duration::from_secs(1), ..settings(FFMPEG) });
    let (kind, message) = failure(watched.hash(&order(deed)));
    assert_eq!(kind, expected, "{deed}: {message}");
    assert!(message.len() > 20 && !message.contains("this is no picture"), "{message}");
    assert_eq!(watched.figure(&format!("vigie_ffmpeg_failures_total{{kind=\"{counted}\"}}")), 1, "{deed}");
    let picture = watched.hash(&order("nothing")).unwrap();
    assert_eq!((picture.width, picture.height), (80, 60), "{deed}");
    assert_eq!(watched.figure("vigie_ffmpeg_runs_total"), 2, "{deed}");
    assert_eq!(watched.figure("vigie_decoder_workers"), 1, "{deed}");
}

#[test]
fn a_program_that_fails_costs_one_picture() {
    for deed in ["refuse", "say nothing", "half", "late fault"] {
        check(deed, DecodeFailureKind::Corrupt, "refused");
    }
    for deed in ["other size", "no head", "twice"] {
        check(deed, DecodeFailureKind::Unsupported, "other_size");
    }
    check("abort", DecodeFailureKind::Crashed, "crashed");
}

#[test]
fn a_program_without_memory_is_not_taken_for_a_damaged_file() {
    for deed in ["no memory", "allocate"] {
        check(deed, DecodeFailureKind::OutOfMemory, "out_of_memory");
    }
}

#[test]
fn a_program_ends_at_its_bound_of_processor_time() {
    check("loop", DecodeFailureKind::TimedOut, "timed_out");
}

#[test]
fn a_program_ends_at_the_deadline_and_is_gone_then() {
    for deed in ["wait", "half and wait"] {
        let mut watched = Watched::new(settings(FFMPEG));
        watched.hash(&order("nothing")).unwrap();
        let begun = Instant::now();
        let outcome = watched.hash_within(&order(deed), Duration::from_secs(1));
        assert!(matches!(outcome, Err(DecoderError::OutOfTime)), "{deed}: {outcome:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{deed}");
        assert_eq!(running(), Vec::<PathBuf>::new(), "{deed}");
        assert_eq!(watched.figure("vigie_ffmpeg_failures_total{kind=\"deadline\"}"), 1);
        assert!(watched.hash(&order("nothing")).is_ok());
    }
}

/// Returns the waiting stand-ins that this process has started.
fn running() -> Vec<PathBuf> {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let is_mine = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1));
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        // Other tests start stand-ins too; one that sleeps and stays belongs to this test.
        parent == Some(&own) && line.contains("ffmpeg-stand-in") && stat.contains(") S ")
    };
    let waits = |process: &PathBuf| {
        std::thread::sleep(Duration::from_millis(300));
        process.exists()
    };
    processes.filter(is_mine).filter(waits).collect()
}

#[test]
fn what_a_program_must_not_do_is_refused() {
    for deed in [
        "read a file",
        "list a folder",
        "write a file",
        "connect",
        "datagram",
        "execute",
        "signal",
        "environment",
    ] {
        let mut watched = Watched::new(settings(FFMPEG));
        let outcome = watched.hash(&order(deed));
        assert!(outcome.is_ok(), "{deed}: {outcome:?}");
    }
    // The limit on file sizes ends a program that writes to one, sealed or not.
    check("change the file", DecodeFailureKind::Crashed, "crashed");
}

#[test]
fn threads_and_many_words_do_no_harm() {
    for deed in ["threads", "many words"] {
        let mut watched = Watched::new(settings(FFMPEG));
        let outcome = watched.hash(&order(deed));
        assert!(outcome.is_ok(), "{deed}: {outcome:?}");
    }
}

#[test]
fn an_absent_program_is_named_with_how_to_get_it() {
    for (ffmpeg, reason) in [
        ("", "names no program"),
        ("no-such-ffmpeg", "is not installed"),
        ("/no/such/ffmpeg", "is not installed"),
        ("/bin/true", "does not answer as ffmpeg does"),
    ] {
        let mut watched = Watched::new(settings(ffmpeg));
        let (kind, message) = failure(watched.hash(&order("nothing")));
        assert_eq!(kind, DecodeFailureKind::DecoderMissing);
        for word in
            ["JPEG 2000", reason, "apt install ffmpeg", "dnf install ffmpeg-free", "brew install ffmpeg"]
        {
            assert!(message.contains(word), "{message}");
        }
        assert_eq!(watched.figure("vigie_ffmpeg_formats{format=\"jpeg_2000\"}"), 0);
        // The file itself is still checked.
        assert_eq!(failure(watched.hash(&order("nothing")[..60])).0, DecodeFailureKind::Truncated);
    }
}

#[test]
fn a_program_without_the_decoder_is_named_with_its_version() {
    let mut watched = Watched::new(settings(FFMPEG));
    let (kind, message) = failure(watched.hash(&fs::read(samples().join("lossy.jxl")).unwrap()));
    assert_eq!(kind, DecodeFailureKind::DecoderMissing);
    assert!(message.contains("6.1-stand-in") && message.contains("libjxl"), "{message}");
    assert_eq!(watched.figure("vigie_ffmpeg_formats{format=\"jpeg_2000\"}"), 1);
    assert_eq!(watched.figure("vigie_ffmpeg_formats{format=\"jpeg_xl\"}"), 0);
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn a_program_runs_with_full_protection_and_what_is_known_of_it_is_shared() {
    let required = DecoderSettings { requirement: Requirement::Required, ..settings(FFMPEG) };
    let hashing = Hashing::prepare(required, DecoderMetrics::default()).unwrap();
    let report = hashing.ffmpeg().unwrap();
    assert_eq!((report.version.as_str(), report.posture), ("6.1-stand-in", Posture::Full));
    assert_eq!(report.formats, ["JPEG 2000"]);
    assert_eq!(report.missing, ["HEIC", "JPEG XL"]);
    assert_eq!(hashing.clone().ffmpeg(), Ok(report));
}

#[test]
fn without_processes_there_is_no_program() {
    let off = DecoderSettings { requirement: Requirement::Off, ..settings(FFMPEG) };
    let hashing = Hashing::prepare(off, DecoderMetrics::default()).unwrap();
    assert_eq!(hashing.ffmpeg(), Err(FfmpegAbsence::NoProcesses));
    let outcome = hashing.hasher().hash(
        &order("nothing"),
        &Limits::default(),
        Ways::default(),
        &[],
        Instant::now() + PATIENCE,
    );
    assert_eq!(failure(outcome.map(|hashed| hashed.fingerprint)).0, DecodeFailureKind::DecoderMissing);
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/core/media/testdata/outside")
}

/// Returns the number of bits between a hash and the expected one.
fn distance(hash: &PdqHash, expected: &str) -> u32 {
    let byte = |at: usize| u8::from_str_radix(&expected[at * 2..at * 2 + 2], 16).unwrap();
    hash.iter().enumerate().map(|(at, one)| (one ^ byte(at)).count_ones()).sum()
}

fn rows(table: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(table).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let values = line.split(',').map(str::to_owned);
        names.iter().map(|&name| name.to_owned()).zip(values).collect()
    };
    lines.map(row).collect()
}

#[test]
fn pictures_have_the_hashes_that_their_formats_own_readers_give() {
    let Some(settings) = installed() else { return };
    let mut watched = Watched::new(settings);
    let mut wrong = Vec::new();
    for row in rows(&samples().join("expected.csv")) {
        let name = &row["file"];
        let outcome = watched.hash(&fs::read(samples().join(name)).unwrap());
        let picture = match outcome {
            Ok(picture) => picture,
            Err(DecoderError::Decode(failure)) if failure.kind == DecodeFailureKind::DecoderMissing => {
                println!("SKIPPED: {name}: {failure}");
                continue;
            }
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        assert_eq!(
            (picture.width.to_string(), picture.height.to_string()),
            (row["width"].clone(), row["height"].clone())
        );
        assert_eq!(picture.frames_left_out.to_string(), row["left_out"], "{name}");
        let plain = distance(&picture.first.plain.pdq[0], &row["pdq"]);
        let stored = picture.frames().flat_map(|frame| frame.ways());
        let stored = stored.map(|(_, hashes)| distance(&hashes.pdq[0], &row["stored"])).min().unwrap();
        println!("{name}: {plain} bits, as stored {stored}");
        // Versions of libjxl differ in how they decode lossy files.
        let bits_max = if name.ends_with(".jxl") { 2 * BITS_MAX } else { BITS_MAX };
        if plain > bits_max || stored > bits_max {
            wrong.push(format!("{name}: {plain} bits, as stored {stored}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(watched.figure("vigie_ffmpeg_formats{format=\"heic\"}"), 1);
}

#[test]
fn jpeg_2000_in_many_forms_has_the_hashes_that_pillow_gives() {
    let Some(folder) = env::var_os("VIGIE_PICTURE_MATRIX").map(PathBuf::from) else {
        println!("SKIPPED: VIGIE_PICTURE_MATRIX names no folder of files with an expected.csv");
        return;
    };
    let Some(settings) = installed() else { return };
    let mut watched = Watched::new(settings);
    let text = fs::read_to_string(folder.join("expected.csv")).unwrap();
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in text.lines().filter(|line| line.starts_with("jpeg2000-")) {
        let name = line.split(',').next().unwrap();
        // The first 64 consecutive digits are the hash. Tiny pictures are skipped, because rounding inside
        // PDQ decides their hash.
        let hash =
            line.split(',').find(|cell| cell.len() == 64 && cell.chars().all(|one| one.is_ascii_hexdigit()));
        let (Some(hash), false) = (hash, line.contains("tiny")) else { continue };
        checked += 1;
        match watched.hash(&fs::read(folder.join(name)).unwrap()) {
            Ok(picture) => {
                let bits = distance(&picture.first.plain.pdq[0], hash);
                if bits > BITS_MAX {
                    wrong.push(format!("{name}: {bits} bits ({line})"));
                }
            }
            Err(error) => wrong.push(format!("{name}: {error} ({line})")),
        }
    }
    println!("{checked} files of JPEG 2000, {} beyond {BITS_MAX} bits", wrong.len());
    assert!(checked > 0 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_damaged_picture_has_no_hash() {
    let Some(settings) = installed() else { return };
    let mut watched = Watched::new(settings);
    for name in ["container.jxl", "lossy.jxl", "rgb.heic"] {
        let mut content = fs::read(samples().join(name)).unwrap();
        // HEVC has no checksums, so its decoders detect only damaged parameters: here, of the declared size.
        let heic = content.windows(4).position(|bytes| bytes == b"hvcC").map(|at| at + 70);
        let from = heic.unwrap_or(content.len() * 6 / 10);
        content[from..from + 20].fill(0x5a);
        let (kind, message) = failure(watched.hash(&content));
        assert_eq!(kind, DecodeFailureKind::Corrupt, "{name}: {message}");
        assert!(message.contains("ffmpeg") && message.contains("damaged"), "{message}");
    }
    let content = fs::read(samples().join("rgb.jp2")).unwrap();
    assert_eq!(failure(watched.hash(&content[..content.len() - 40])).0, DecodeFailureKind::Truncated);
    assert!(watched.hash(&content).is_ok());
}
