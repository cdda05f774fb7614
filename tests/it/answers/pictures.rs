//! Image files other than one plain picture: undecodable ones, animations, thumbnails, copies with borders.

use std::collections::BTreeSet;

use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, RgbImage, imageops};
use vigie_harness::in_process::{Cluster, as_of};
use vigie_model::{
    BankName, Content, DecodeFailureKind, HashType, ItemId, Matched, Sequence, SkipReason, Source, Way,
};
use vigie_pictures::{draw, encode_jpeg, encode_png};
use vigie_tests::material::{image_item, item};

/// A cluster that knows one picture, and the picture.
async fn cluster_that_knows(picture: &RgbImage) -> (Cluster, ItemId, Sequence) {
    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("pictures").await.unwrap();
    let item = image_item(&encode_jpeg(picture, 95)).unwrap();
    let (ids, sequence) = cluster.add(&bank, vec![item]).await.unwrap();
    (cluster, ids[0], sequence)
}

async fn ask(cluster: &Cluster, file: Vec<u8>, sequence: Sequence) -> Matched {
    cluster.ask_one(Content::Image(file.into()), as_of(sequence)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_file_is_found_by_its_digests_though_it_cannot_be_decoded() {
    let cluster = Cluster::start().await.unwrap();
    let bank: BankName = cluster.create_bank("files").await.unwrap();
    let jpeg = encode_jpeg(&draw(1, 640, 480), 90);
    let files = [
        (
            "an unknown format",
            b"a known file in a format of its own".to_vec(),
            DecodeFailureKind::UnknownFormat,
        ),
        ("half a picture", jpeg[..jpeg.len() / 2].to_vec(), DecodeFailureKind::Truncated),
    ];
    for (name, file, kind) in files {
        let known = item(vigie_media::digest::digests(&file)).unwrap();
        let (ids, sequence) = cluster.add(&bank, vec![known]).await.unwrap();
        let matched = ask(&cluster, file.clone(), sequence).await;
        let nearest = &matched.found.matches[0];
        assert_eq!((nearest.item, nearest.hash_type), (ids[0], HashType::MD5), "{name}");
        assert_eq!(nearest.other_matches, 3, "{name}: its SHA-1, SHA-256 and SHA-512 match too");
        let Source::Undecoded(failure) = &matched.source else { panic!("{name}: {:?}", matched.source) };
        assert_eq!(failure.kind, kind, "{name}");
        let skipped: Vec<_> =
            matched.searches.iter().filter_map(|one| Some((one.hash_type, one.skipped?))).collect();
        assert_eq!(skipped, [(HashType::PDQ, SkipReason::NotDecoded)], "{name}");

        // Another file of this kind does not match, and the answer still reports that no picture was
        // searched.
        let other = [file, vec![0]].concat();
        let matched = ask(&cluster, other, sequence).await;
        assert!(matched.found.matches.is_empty(), "{name}");
        assert!(matches!(matched.source, Source::Undecoded(_)), "{name}");
    }
    cluster.stop().await.unwrap();
}

fn gif(pictures: &[RgbImage]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut file, 10);
    for picture in pictures {
        let frame = image::DynamicImage::ImageRgb8(picture.clone()).into_rgba8();
        let frame = Frame::from_parts(frame, 0, 0, Delay::from_numer_denom_ms(200, 1));
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_picture_is_found_in_a_later_frame_and_the_match_names_it() {
    let known = draw(3, 320, 240);
    let (cluster, item, sequence) = cluster_that_knows(&known).await;
    let other = |seed| draw(seed, 320, 240);
    let file = gif(&[other(500), other(501), known, other(502)]);
    let matched = ask(&cluster, file, sequence).await;
    let found: Vec<_> = matched.found.matches.iter().map(|one| (one.item, one.rendition.frame)).collect();
    assert_eq!(found, [(item, 2)]);
    let Source::Decoded(decoded) = &matched.source else { panic!("{:?}", matched.source) };
    assert_eq!((decoded.frames_seen, decoded.frames_left_out), (4, 0));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_animation_of_more_frames_than_are_decoded_says_how_many_were_left_out() {
    let (cluster, _, sequence) = cluster_that_knows(&draw(3, 320, 240)).await;
    let frames: Vec<_> = (0..70).map(|seed| draw(600 + seed, 64, 64)).collect();
    let matched = ask(&cluster, gif(&frames), sequence).await;
    let Source::Decoded(decoded) = &matched.source else { panic!("{:?}", matched.source) };
    assert_eq!((decoded.frames_seen, decoded.frames_left_out), (64, 6));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_many_animations_searches_all_first_frames_and_says_what_it_left_out() {
    // The plain hashes of all frames are more than 1,280, the lowest query limit that a frontend accepts.
    const FILES: usize = 22;
    let cluster = Cluster::start_with(|config| config.frontend.call_queries_max = 1_280).await.unwrap();
    let bank = cluster.create_bank("pictures").await.unwrap();
    let (first, last) = (draw(3, 64, 64), draw(4, 64, 64));
    let items = [&first, &last].map(|picture| image_item(&encode_png(picture)).unwrap());
    let (ids, sequence) = cluster.add(&bank, items.into()).await.unwrap();
    let frames = (0..62).map(|seed| draw(700 + seed, 64, 64));
    let file = gif(&std::iter::once(first).chain(frames).chain([last]).collect::<Vec<_>>());

    let alone = ask(&cluster, file.clone(), sequence).await;
    let found = |matched: &Matched| matched.found.matches.iter().map(|one| one.item).collect::<BTreeSet<_>>();
    assert_eq!(found(&alone), ids.iter().copied().collect());
    let Source::Decoded(decoded) = alone.source else { panic!("{:?}", alone.source) };
    assert!(decoded.is_whole() && decoded.frames_seen == 64, "{decoded:?}");

    let contents = vec![Content::Image(file.into()); FILES];
    let answers = cluster.ask(contents, as_of(sequence)).await.unwrap().results;
    assert_eq!(answers.len(), FILES);
    for matched in answers.into_iter().map(Result::unwrap) {
        let Source::Decoded(decoded) = matched.source else { panic!("{:?}", matched.source) };
        // Each file gets 58 or 59 queries: some for the first frame, and then one for each frame.
        assert!((50..59).contains(&decoded.frames_seen), "{decoded:?}");
        assert_eq!(decoded.frames_seen + decoded.frames_left_out, 64);
        assert!(decoded.ways_left_out > 0 && !decoded.is_whole(), "{decoded:?}");
        // The limit excludes the last frame.
        assert_eq!(found(&matched), BTreeSet::from([ids[0]]));
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thumbnails_and_copies_with_borders_are_found_and_the_match_names_the_way() {
    let original = draw(8, 1_600, 1_200);
    let (cluster, item, sequence) = cluster_that_knows(&original).await;

    let thumbnail = imageops::resize(&original, 129, 129, imageops::FilterType::Lanczos3);
    let matched = ask(&cluster, encode_png(&thumbnail), sequence).await;
    let nearest = &matched.found.matches[0];
    assert_eq!((nearest.item, nearest.rendition.way), (item, Way::Scaled));
    assert!(nearest.distance.0 <= 10, "{}", nearest.distance);

    let mut letterbox = RgbImage::new(1_600, 1_500);
    imageops::replace(&mut letterbox, &original, 0, 150);
    let matched = ask(&cluster, encode_jpeg(&letterbox, 90), sequence).await;
    let nearest = &matched.found.matches[0];
    assert_eq!((nearest.item, nearest.rendition.way), (item, Way::Unbordered));
    cluster.stop().await.unwrap();
}
