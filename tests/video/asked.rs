//! A cluster of processes that is asked about videos: from a file to an answer.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use vigie_access::DirectoryConfig;
use vigie_clients::{
    BankClient, Code, ConsortiumClient, Deadline, HashedVideo, IdempotencyKey, MatchClient, Network,
};
use vigie_consortium::{Charter, CharterDraft};
use vigie_frontend::CoordinatorAt;
use vigie_harness::binary::{run, vigie_binary};
use vigie_harness::cluster::Cluster;
use vigie_harness::in_process::{Role, as_of, soon};
use vigie_media::digest::digests;
use vigie_media::video::Sampling;
use vigie_model::{
    BankName, Content, DecodeFailureKind, HashType, ItemContent, ItemDraft, ItemId, Match, MatchCall,
    Matched, Sequence, Source, Variant, VideoPartial, VideoRuleKind, Way,
};
use vigie_pictures::encode_jpeg;

use crate::studio::Studio;

const READY_WITHIN: Duration = Duration::from_secs(60);
const ANSWERED_WITHIN: Duration = Duration::from_secs(25);
const CODER: &str = "-c:v mpeg4 -q:v 3 -threads 1";

/// A cluster of two shards, and a bank.
struct Asked {
    cluster: Cluster,
    client: MatchClient,
    bank: BankName,
    sequence: Sequence,
}

impl Asked {
    async fn start(settings: &[&str]) -> Self {
        let mut cluster =
            Cluster::of(vigie_binary()).set(settings.iter().map(ToString::to_string)).start().unwrap();
        cluster.wait_ready(Sequence::default(), READY_WITHIN).await.unwrap();
        let bank: BankName = "known".parse().unwrap();
        let created =
            cluster.bank_client().unwrap().create_bank(&bank, IdempotencyKey::random(), soon()).await;
        let client = MatchClient::new(&cluster.frontend_urls()[0]).unwrap();
        Self { cluster, client, bank, sequence: created.unwrap().sequence }
    }

    async fn add(&mut self, hashes: Vec<vigie_model::Hash>) -> ItemId {
        let content = ItemContent::try_from(ItemDraft { hashes, ..ItemDraft::default() }).unwrap();
        let bank = self.cluster.bank_client().unwrap();
        let added =
            bank.add_items(&self.bank, vec![content], IdempotencyKey::random(), soon()).await.unwrap();
        self.sequence = added.sequence;
        added.value[0]
    }

    fn call(&self, content: Content) -> MatchCall {
        let (contents, options) = (vec![content], as_of(self.sequence));
        MatchCall { contents, options, quality_floor: None, surface: Box::default(), classifiers: Vec::new() }
    }

    /// Sends a video in parts.
    async fn ask(&self, video: &[u8]) -> Matched {
        let call = self.call(Content::Video(Bytes::copy_from_slice(video)));
        let answer = self.client.match_video(call, Deadline::now() + ANSWERED_WITHIN).await.unwrap();
        assert!(answer.coverage.is_full());
        answer.results.into_iter().next().unwrap().unwrap()
    }

    /// Sends it in one message.
    async fn ask_at_once(&self, content: Content) -> Matched {
        let call = self.call(content);
        let answer = self.client.match_content(call, Deadline::now() + ANSWERED_WITHIN).await.unwrap();
        answer.results.into_iter().next().unwrap().unwrap()
    }
}

fn only(matched: &Matched) -> &Match {
    let [one] = &matched.found.matches[..] else { panic!("{:?}", matched.found) };
    one
}

fn failure(matched: &Matched) -> DecodeFailureKind {
    let Source::Undecoded(failure) = &matched.source else { panic!("{:?}", matched.source) };
    failure.kind
}

/// A camera that moves over a drawn picture.
fn pan(studio: &Studio, number: u64, name: &str) -> Vec<u8> {
    studio.picture(number, 1_280, 720);
    let crop = "crop=w=320:h=180:x=(iw-320)*t/6:y=(ih-180)*t/6";
    studio.make(&format!("-loop 1 -framerate 10 -i p{number:03}.png -t 6 -vf {crop} {CODER} {name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_known_video_are_known_and_what_was_not_searched_is_said() {
    let Some(studio) = Studio::open() else { return };
    let mut asked = Asked::start(&[]).await;
    let decoding = asked.client.decoding(soon()).await.unwrap();
    assert_eq!((decoding.no_videos, decoding.protection.as_str()), (None, "full"));
    assert!(decoding.ffmpeg.is_some());

    let known = pan(&studio, 3, "known.avi");
    let hashing = asked.client.hash_video(known.clone().into(), true, Deadline::now() + ANSWERED_WITHIN);
    let HashedVideo { decoded, hashes } = hashing.await.unwrap();
    assert!((20..=60).contains(&decoded.frames_seen) && decoded.partial.is_none(), "{decoded:?}");
    assert_eq!(hashes[0].frames().unwrap().len(), decoded.frames_seen as usize);
    let known_digests = digests(&known);
    assert_eq!(&hashes[1..], &known_digests[..], "there are no black bars");
    // By its frames alone, so that no digest finds it.
    let item = asked.add(vec![hashes[0].clone()]).await;

    let same = asked.ask(&known).await;
    let found = only(&same);
    assert_eq!((found.item, found.hash_type, found.variant), (item, HashType::VPDQ, Variant::Original));
    let evidence = found.video.as_deref().unwrap();
    assert_eq!((evidence.query.frames_matched, evidence.query.first_ms), (evidence.query.frames, 0));
    assert!(evidence.rules.contains(VideoRuleKind::ClipOfKnown));
    let Source::Video(video) = &same.source else { panic!("{:?}", same.source) };
    assert_eq!((video.width, video.height, video.duration_ms, video.frames_seen), (320, 180, Some(6_000), 6));
    assert!(video.is_whole());
    assert_eq!(only(&asked.ask_at_once(Content::Video(known.clone().into())).await), found);

    let made = |more: &str, name: &str| studio.make(&format!("-i known.avi {more} {CODER} {name}"));
    let cut = asked.ask(&made("-ss 2.3 -t 3", "cut.avi")).await;
    let evidence = only(&cut).video.as_deref().unwrap();
    assert_eq!(evidence.query.permille(), 1_000);
    assert!((1_500..3_000).contains(&evidence.item.first_ms), "{evidence:?}");
    let slower = asked.ask(&made("-vf setpts=PTS*1.25 -r 29.97", "slower.mp4")).await;
    assert_eq!(only(&slower).video.as_deref().unwrap().query.permille(), 1_000);
    let mirrored = asked.ask(&made("-vf hflip", "mirrored.mkv")).await;
    assert_eq!((only(&mirrored).item, only(&mirrored).variant), (item, Variant::FlipY));
    let barred = asked.ask(&made("-vf pad=iw:ih*3/2:0:ih/4", "barred.avi")).await;
    assert_eq!((only(&barred).item, only(&barred).rendition.way), (item, Way::Unbordered));
    // A longer upload that has it in its middle.
    pan(&studio, 5, "other.avi");
    let list = "[0:v][1:v][0:v]concat=n=3:v=1";
    let longer = studio.make(&format!("-i other.avi -i known.avi -filter_complex {list} {CODER} longer.avi"));
    let longer = asked.ask(&longer).await;
    let evidence = only(&longer).video.as_deref().unwrap();
    assert_eq!(evidence.rules.iter().collect::<Vec<_>>(), [VideoRuleKind::ContainsKnown]);
    assert!((5_000..7_000).contains(&evidence.query.first_ms), "{evidence:?}");

    let other = asked.ask(&studio.make("-i other.avi -c copy other.mkv")).await;
    assert!(other.found.matches.is_empty() && other.found.common_frames == 0);
    let truncated = asked.ask(&known[..known.len() * 2 / 3]).await;
    assert_eq!(only(&truncated).item, item);
    let Source::Video(video) = &truncated.source else { panic!("{:?}", truncated.source) };
    assert_eq!(video.partial, Some(VideoPartial::CutOff));
    let sound = asked.ask(&studio.make("-f lavfi -i sine=duration=1 -c:a aac sound.m4a")).await;
    assert_eq!((failure(&sound), sound.found.matches.len()), (DecodeFailureKind::NoVideo, 0));
    assert!(
        sound.searches.iter().any(|search| search.hash_type == HashType::MD5 && search.skipped.is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ffmpeg_a_known_file_is_found_by_its_digests_and_the_answer_says_what_is_missing() {
    let mut asked = Asked::start(&["frontend.ffmpeg=\"\"", "frontend.video_bytes_max=2000000"]).await;
    let reason = asked.client.decoding(soon()).await.unwrap().no_videos.unwrap();
    assert!(reason.contains("ffmpeg"), "{reason}");
    // The head of an MP4 file, and nothing that anybody could decode.
    let mut file = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2".to_vec();
    file.resize(1_500_000, 7);
    let item = asked.add(digests(&file)).await;
    let matched = asked.ask(&file).await;
    assert_eq!((only(&matched).item, failure(&matched)), (item, DecodeFailureKind::DecoderMissing));
    assert!(only(&matched).hash_type != HashType::VPDQ);

    let deadline = || Deadline::now() + ANSWERED_WITHIN;
    let hashing = asked.client.hash_video(file.clone().into(), false, deadline()).await.unwrap_err();
    assert_eq!(hashing.code(), Code::InvalidArgument);
    file.resize(2_000_001, 7);
    for empty_or_large in [Bytes::new(), file.into()] {
        let call = asked.call(Content::Video(empty_or_large));
        let refused = asked.client.match_video(call, deadline()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_still_of_a_known_video_is_known_once_the_charter_says_so() {
    let Some(studio) = Studio::open() else { return };
    let data = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", data.path().join("bank.db").display()).into();
    let bank = Role::start(vigie_bank::Config { store, ..vigie_bank::Config::default() }).await.unwrap();
    let matcher = vigie_matcher::Config { bank: bank.url(), ..vigie_matcher::Config::default() };
    let matcher = Role::start(matcher).await.unwrap();
    let embedded =
        vigie_coordinator::Config { matchers: vec![matcher.url()], ..vigie_coordinator::Config::default() };
    let frontend = vigie_frontend::Config {
        coordinator: CoordinatorAt::Embedded,
        embedded,
        directory: DirectoryConfig { bank: vec![bank.url()], ..DirectoryConfig::default() },
        ..vigie_frontend::Config::default()
    };
    let frontend = Role::start(frontend).await.unwrap();
    let network = Network::tcp();
    let client = MatchClient::new_on(&[frontend.url()], &network).unwrap();
    let banks = BankClient::new_on(&bank.url(), &network).unwrap();

    let known = pan(&studio, 3, "known.avi");
    let hash = studio.hash(&known, Sampling::Dense).unwrap().banked(Way::Plain).unwrap();
    let name: BankName = "known".parse().unwrap();
    banks.create_bank(&name, IdempotencyKey::random(), soon()).await.unwrap();
    let content = ItemContent::try_from(ItemDraft { hashes: vec![hash], ..ItemDraft::default() }).unwrap();
    let added = banks.add_items(&name, vec![content], IdempotencyKey::random(), soon()).await.unwrap();
    studio.make("-i known.avi -ss 3.4 -frames:v 1 still.png");
    let still = encode_jpeg(&image::open(studio.at("still.png")).unwrap().to_rgb8(), 80);
    let ask = async || {
        let contents = vec![Content::Image(still.clone().into())];
        let options = as_of(added.sequence);
        let call = MatchCall {
            contents,
            options,
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let answer = client.match_content(call, soon()).await.unwrap();
        answer.results.into_iter().next().unwrap().unwrap().found.matches
    };
    assert!(ask().await.is_empty());

    let consortium = ConsortiumClient::among(&[bank.url()], &network).unwrap();
    let draft = CharterDraft { frames_answer_images: true, ..CharterDraft::default() };
    let (bank_ref, charter) = (name.into(), Charter::try_from(draft).unwrap());
    consortium.set_charter(&bank_ref, charter, IdempotencyKey::random(), soon()).await.unwrap();
    // The frontend follows the directory.
    let until = Deadline::now() + READY_WITHIN;
    let found = loop {
        if let [found] = &ask().await[..] {
            break found.clone();
        }
        assert!(Deadline::now() < until, "the charter has no effect");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((found.item, found.hash_type, found.video.is_some()), (added.value[0], HashType::PDQ, false));
    let time_ms = found.item_time_ms.unwrap();
    assert!((3_000..3_800).contains(&time_ms), "{time_ms}");

    // The command prints the same.
    let path = studio.at("still.jpg").display().to_string();
    fs::write(&path, &still).unwrap();
    let url = frontend.url();
    let command = |more: &[&str]| {
        let asked = [more, &["match", "--frontend", &url, &path]].concat();
        tokio::task::block_in_place(|| run(&asked, &[])).unwrap()
    };
    let printed = command(&["--json"]).json().unwrap();
    assert_eq!(printed[0]["matches"][0]["item_time_ms"], time_ms);
    let Match { item, distance, .. } = found;
    let expected = format!(
        "{path}: KNOWN, item {item} of known: pdq at distance {distance} from the frame at 0:03 (original)"
    );
    assert_eq!(command(&[]).lines[0], expected);
}
