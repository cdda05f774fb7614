//! A whole cluster of processes under images that are meant to harm it. Its frontend's decoder processes are the stand-in of the
//! tests, which also misbehaves on order; no file here breaks a library.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use rand::{Rng, RngExt as _};
use vigie_clients::{CallError, Deadline, IdempotencyKey, MatchClient};
use vigie_harness::binary::{run, vigie_binary};
use vigie_harness::cluster::Cluster;
use vigie_harness::in_process::{as_of, soon};
use vigie_media::digest::digests;
use vigie_model::{BankName, Content, DecodeFailureKind, MatchCall, Matched, Sequence, SkipReason, Source};
use vigie_pictures::{Format, draw};
use vigie_tests::material::{generator, image_item, item};
use vigie_tests::metrics::Exposition;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// A well-behaved call may wait for hostile images of its queue, each of which ends at its bound of processor time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// Hostile calls at once.
const AT_ONCE: usize = 8;

const STAND_IN: &str = env!("CARGO_BIN_EXE_decoder-stand-in");

/// A cluster whose frontend hashes on two threads.
struct Attacked {
    cluster: Cluster,
    client: MatchClient,
    sequence: Sequence,
}

/// The picture that is banked, as another file than the one that is asked about.
fn known(quality: u8) -> Vec<u8> {
    Format::Jpeg(quality).encode(&draw(41, 640, 480))
}

fn order(deed: &str) -> Vec<u8> {
    format!("stand-in: {deed}").into_bytes()
}

fn kind(matched: &Matched) -> DecodeFailureKind {
    match &matched.source {
        Source::Undecoded(failure) => failure.kind,
        other @ (Source::Hashed | Source::Decoded(_) | Source::Video(_)) => panic!("{other:?}"),
    }
}

impl Attacked {
    async fn start() -> Self {
        Self::start_with(Path::new(STAND_IN)).await
    }

    async fn start_with(program: &Path) -> Self {
        let program = format!("frontend.decoder_program={program:?}");
        let set = [program.as_str(), "frontend.hashing_threads=2", "frontend.image_cpu_ms_max=300"];
        let mut cluster =
            Cluster::of(vigie_binary()).telemetry().log("info", "json").set(set).start().unwrap();
        cluster.wait_ready(Sequence::default(), READY_WITHIN).await.unwrap();
        let bank = cluster.bank_client().unwrap();
        let name: BankName = "known".parse().unwrap();
        bank.create_bank(&name, IdempotencyKey::random(), soon()).await.unwrap();
        // A picture, and a file that kills its decoder.
        let items = vec![image_item(&known(95)).unwrap(), item(digests(&order("abort"))).unwrap()];
        let added = bank.add_items(&name, items, IdempotencyKey::random(), soon()).await.unwrap();
        cluster.wait_ready(added.sequence, READY_WITHIN).await.unwrap();
        let client = MatchClient::new(&cluster.frontend_urls()[0]).unwrap();
        Self { cluster, client, sequence: added.sequence }
    }

    async fn ask(&self, image: Vec<u8>, within: Duration) -> Result<Matched, CallError> {
        let contents = vec![Content::Image(Bytes::from(image))];
        let call = MatchCall {
            contents,
            options: as_of(self.sequence),
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let answer = self.client.match_content(call, Deadline::now() + within).await?;
        Ok(answer.results.into_iter().next().unwrap().unwrap())
    }

    /// A well-behaved call is answered, and right.
    async fn check_known(&self) {
        let begun = Instant::now();
        let matched = self.ask(known(80), ANSWERED_WITHIN).await.unwrap();
        assert_eq!(matched.found.matches.len(), 1, "after {:?}", begun.elapsed());
    }

    fn metrics(&mut self) -> Exposition {
        let frontend = self.cluster.process("frontend-0").unwrap();
        frontend.check_running().unwrap();
        let telemetry = frontend.telemetry().unwrap();
        let mut io = TcpStream::connect(telemetry).unwrap();
        write!(io, "GET /metrics HTTP/1.1\r\nhost: {telemetry}\r\n\r\n").unwrap();
        let mut said = String::new();
        io.read_to_string(&mut said).unwrap();
        Exposition::parse(said.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn open_files(&mut self) -> f64 {
        self.metrics().sum("process_open_fds", &[])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_file_that_kills_its_decoder_is_found_by_its_digests() {
    let mut attacked = Attacked::start().await;
    let matched = attacked.ask(order("abort"), ANSWERED_WITHIN).await.unwrap();
    assert_eq!(matched.found.matches.len(), 1);
    assert_eq!(kind(&matched), DecodeFailureKind::Crashed);
    for (deed, expected) in [
        ("loop", DecodeFailureKind::TimedOut),
        ("open", DecodeFailureKind::RefusedCall),
        ("allocate", DecodeFailureKind::OutOfMemory),
        ("panic", DecodeFailureKind::Panicked),
        ("lie", DecodeFailureKind::Crashed),
    ] {
        let matched = attacked.ask(order(deed), ANSWERED_WITHIN).await.unwrap();
        assert_eq!((kind(&matched), matched.found.matches.len()), (expected, 0), "{deed}");
        attacked.check_known().await;
    }
    // The deadline of the call, not of the image: a part of the time is left to search the digests.
    let matched = attacked.ask(order("wait"), Duration::from_secs(3)).await.unwrap();
    assert_eq!(kind(&matched), DecodeFailureKind::TimedOut);
    attacked.check_known().await;
    let metrics = attacked.metrics();
    assert_eq!(metrics.sum("vigie_decoder_posture", &[]), 1.0);
    assert!(metrics.sum("vigie_decoder_workers", &[]) <= 2.0);
    for (kind, expected) in [("refused_call", 1.0), ("timed_out", 1.0), ("out_of_memory", 1.0)] {
        assert!(metrics.sum("vigie_decoder_deaths_total", &[("kind", kind)]) >= expected, "{kind}");
    }
}

/// A later frame costs neither the first nor the truth about itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_first_frame_is_found_before_one_that_kills_its_decoder() {
    let mut attacked = Attacked::start().await;
    for deed in ["abort", "loop", "panic"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/core/media/testdata/animated.gif");
        let image = [std::fs::read(file).unwrap(), format!("later frame: {deed}").into_bytes()].concat();
        let matched = attacked.ask(image, ANSWERED_WITHIN).await.unwrap();
        let Source::Decoded(decoded) = matched.source else { panic!("{deed}: {:?}", matched.source) };
        assert!(decoded.frames_seen == 1 && decoded.frames_left_out > 0, "{deed}: {decoded:?}");
        assert!(!decoded.is_whole(), "{deed}: nothing may be claimed of the frames left out");
    }
    let metrics = attacked.metrics();
    let tries = metrics.sum("vigie_decoder_first_frame_tries_total", &[("outcome", "hashed")]);
    assert_eq!(tries, 2.0);
    for kind in ["crashed", "timed_out", "panicked"] {
        assert_eq!(metrics.sum("vigie_image_decode_failures_total", &[("kind", kind)]), 1.0, "{kind}");
    }
    attacked.check_known().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_decoder_process_digests_are_searched_and_the_image_may_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("vigie");
    std::os::unix::fs::symlink(STAND_IN, &program).unwrap();
    let mut attacked = Attacked::start_with(&program).await;
    std::fs::remove_file(&program).unwrap();
    let matched = attacked.ask(known(95), ANSWERED_WITHIN).await.unwrap();
    assert_eq!((kind(&matched), matched.found.matches.len()), (DecodeFailureKind::Unavailable, 1));
    let matched = attacked.ask(known(80), ANSWERED_WITHIN).await.unwrap();
    assert_eq!((kind(&matched), matched.found.matches.len()), (DecodeFailureKind::Unavailable, 0));
    let skipped: Vec<_> = matched.searches.iter().filter_map(|one| one.skipped).collect();
    assert_eq!(skipped, [SkipReason::NotDecoded]);
    let hashed = attacked.client.hash(Bytes::from(known(80)), Deadline::now() + ANSWERED_WITHIN).await;
    assert_eq!(hashed.unwrap_err().code(), tonic::Code::Unavailable);
    std::os::unix::fs::symlink(STAND_IN, &program).unwrap();
    attacked.check_known().await;
    let failures = attacked.metrics().sum("vigie_image_decode_failures_total", &[("kind", "unavailable")]);
    assert!(failures >= 3.0, "{failures}");
}

/// Files that decoders accept, in every format.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/core/media/testdata");
    let folders = [folder.clone(), folder.join("frames"), folder.join("jpeg")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end != "csv" && end != "py" && end != "txt"))
        .collect();
    files.sort();
    files.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A file that is wrong in some bytes, in its length, or both; one in fifty is an order.
fn mutated(seeds: &[Vec<u8>], rng: &mut impl Rng) -> Vec<u8> {
    const DEEDS: [&str; 10] =
        ["abort", "loop", "open", "connect", "thread", "panic", "lie", "half", "exit", "overflow"];
    if rng.random_ratio(1, 50) {
        return order(DEEDS[rng.random_range(0..DEEDS.len())]);
    }
    let mut file = seeds[rng.random_range(0..seeds.len())].clone();
    // Headers are where a byte matters most.
    let end = if rng.random_ratio(1, 2) { file.len().min(200) } else { file.len() };
    for _ in 0..rng.random_range(1..=8) {
        let at = rng.random_range(0..end);
        file[at] = match rng.random_range(0..4) {
            0 => 0,
            1 => 0xff,
            2 => file[at] ^ (1 << rng.random_range(0..8)),
            _ => rng.random(),
        };
    }
    match rng.random_range(0..8) {
        0 => file.truncate(rng.random_range(1..file.len())),
        1 => file.extend_from_within(file.len() / 2..),
        _ => {}
    }
    file
}

/// Connections to the bank that a frontend opens some seconds after its first answers: of counts, of records of decisions, of floods.
const BACKGROUND_CONNECTIONS: f64 = 3.0;

/// `VIGIE_MUTATIONS` many, `VIGIE_SEED` for the same ones again.
#[tokio::test(flavor = "multi_thread")]
async fn mutated_images_leave_the_frontend_as_it_was() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (count, seed) = (number("VIGIE_MUTATIONS").unwrap_or(400), number("VIGIE_SEED").unwrap_or(7));
    println!("VIGIE_SEED={seed} VIGIE_MUTATIONS={count}");
    let (mut attacked, seeds, mut rng) = (Attacked::start().await, seeds(), generator(seed));
    // Both threads have a process, and every connection is there.
    let warm = stream::iter(0..32).map(|_| attacked.check_known()).buffer_unordered(AT_ONCE);
    warm.collect::<Vec<()>>().await;
    let files_before = attacked.open_files();
    let (mut decoded, mut undecoded, mut sent) = (0_u64, 0_u64, 0_u64);
    while sent < count {
        let batch = count.min(sent + 100) - sent;
        let images: Vec<_> = (0..batch).map(|_| mutated(&seeds, &mut rng)).collect();
        let hostile = stream::iter(images)
            .map(|image| attacked.ask(image, Duration::from_secs(60)))
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        // Among them one that is not.
        let (outcomes, ()) = futures::join!(hostile, attacked.check_known());
        for outcome in outcomes {
            match outcome.unwrap().source {
                Source::Decoded(_) => decoded += 1,
                Source::Undecoded(_) => undecoded += 1,
                Source::Hashed | Source::Video(_) => panic!("an image was sent"),
            }
        }
        sent += batch;
    }
    println!("{decoded} decoded, {undecoded} not");
    assert!(decoded > 0 && undecoded > 0);
    attacked.check_known().await;
    let metrics = attacked.metrics();
    assert!(metrics.sum("vigie_decoder_workers", &[]) <= 2.0);
    let files_after = attacked.open_files();
    // A thread whose process has just died has the three pipes less; nothing grows with the images.
    let most = files_before + BACKGROUND_CONNECTIONS;
    assert!(files_after <= most, "{files_before} descriptors before, {files_after} after");
    attacked.cluster.check_running().unwrap();
}

/// A frontend that cannot have what it must have does not start, and says why.
#[test]
fn required_protection_that_cannot_be_had_is_an_error_at_the_start() {
    let set = |setting: String| ["--set".to_owned(), setting];
    let arguments: Vec<String> = ["frontend".to_owned(), "--listen".to_owned(), "127.0.0.1:0".to_owned()]
        .into_iter()
        .chain(set("frontend.sandbox=required".to_owned()))
        .chain(set("frontend.decoder_program=/bin/true".to_owned()))
        .collect();
    let finished = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[]).unwrap();
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("/bin/true is not `vigie` of this version"), "{}", finished.stderr);
}

/// The command line decodes in processes, too: the same hashes with and without them.
#[test]
fn the_command_line_hashes_as_the_library_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known.jpg");
    std::fs::write(&file, known(90)).unwrap();
    let finished = run(&["--json", "hash", file.to_str().unwrap()], &[]).unwrap();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let expected = image_item(&known(90)).unwrap().hashes()[0].to_text();
    assert_eq!(finished.json().unwrap()[0]["pdq"].as_str(), Some(expected.as_str()));
    assert_eq!(finished.stderr, "");
}
