use super::*;
use vigie_media::HashedPicture;
use vigie_model::{BankId, DecodeFailureKind, Distance, FrameFingerprint, PictureHashes, Way};

const FLOOR: Quality = Quality::FLOOR_DEFAULT;

fn hashes(byte: u8, quality: u64) -> PictureHashes {
    let pdq = std::array::from_fn(|at| [byte.wrapping_add(u8::try_from(at).unwrap()); 32]);
    PictureHashes { pdq, quality: Quality::new(quality).unwrap() }
}

fn frame(number: u32, byte: u8, quality: u64) -> FrameFingerprint {
    FrameFingerprint { number, time: None, plain: hashes(byte, quality), further: Vec::new() }
}

fn image(first: FrameFingerprint, later: Vec<FrameFingerprint>) -> HashedImage {
    let picture =
        PictureFingerprint { width: 8, height: 9, first, later, frames_left_out: 2, later_fault: None };
    HashedImage {
        digests: vec![Hash::md5([1; 16]), Hash::sha256([2; 32])],
        hashes: Ok(HashedPicture::without_pixels(picture)),
    }
}

fn renditions(prepared: &Prepared) -> Vec<(u32, Way, usize)> {
    let each = prepared.queries.iter();
    each.map(|(rendition, query)| (rendition.frame, rendition.way, query.hashes.len())).collect()
}

fn one_match(item: u64, distance: u32) -> Match {
    Match {
        video: None,
        item_time_ms: None,
        item: ItemId(item),
        bank: BankId(1),
        bank_name: "known".parse().unwrap(),
        external_reference: None,
        labels: Box::default(),
        hash_type: HashType::PDQ,
        distance: Distance(distance),
        variant: Variant::Original,
        exact: true,
        other_matches: 0,
        rendition: Rendition::default(),
        added_at: None,
        facts: None,
    }
}

#[test]
fn each_frame_and_way_is_a_query_and_the_digests_go_with_the_first() {
    let mut first = frame(0, 10, 90);
    first.further = vec![(Way::Scaled, hashes(30, 90)), (Way::Unbordered, hashes(50, 20))];
    let prepared = Prepared::of_image(image(first, vec![frame(1, 10, 90), frame(4, 70, 90)]), FLOOR);
    // The unbordered frame is of too low quality, and the second frame equals the first.
    assert_eq!(renditions(&prepared), [(0, Way::Plain, 10), (0, Way::Scaled, 8), (4, Way::Plain, 8)]);
    assert_eq!(prepared.hash_types, [(HashType::PDQ, None), (HashType::MD5, None), (HashType::SHA256, None)]);
}

#[test]
fn a_first_frame_that_is_too_poor_does_not_keep_the_others_from_being_searched() {
    let prepared = Prepared::of_image(image(frame(0, 10, 3), vec![frame(1, 70, 90)]), FLOOR);
    assert_eq!(renditions(&prepared), [(0, Way::Plain, 2), (1, Way::Plain, 8)]);
    assert_eq!(prepared.hash_types[0], (HashType::PDQ, None));
    let Source::Decoded(decoded) = prepared.source else { panic!("it was decoded") };
    assert_eq!((decoded.frames_seen, decoded.frames_left_out, decoded.frames_below_floor), (2, 2, 1));
}

/// Returns the rendition of each query that is taken of a call of these contents, by the index of its
/// content.
fn taken(contents: &mut [Prepared], queries_max: usize) -> Vec<(usize, u32, Way)> {
    let queries = take_queries(contents.iter_mut(), queries_max);
    queries.into_iter().map(|(at, rendition, _)| (at, rendition.frame, rendition.way)).collect()
}

/// Returns the numbers of frames seen, of frames left out, and of ways left out.
fn left_out(prepared: &Prepared) -> (u32, u32, u32) {
    let Source::Decoded(decoded) = prepared.source else { panic!("it was decoded") };
    (decoded.frames_seen, decoded.frames_left_out, decoded.ways_left_out)
}

/// Returns an animation of `frames` frames, each with one way besides the plain one.
fn animation(frames: u8) -> Prepared {
    let mut frames = (0..frames).map(|number| FrameFingerprint {
        further: vec![(Way::Scaled, hashes(20 * number + 10, 90))],
        ..frame(number.into(), 20 * number, 90)
    });
    Prepared::of_image(image(frames.next().unwrap(), frames.collect()), FLOOR)
}

#[test]
fn first_frames_go_first_then_one_query_of_each_content_in_turn() {
    use Way::{Plain, Scaled};
    let hashed = || Prepared::of_hashes(vec![], None, FLOOR);
    // Seven queries of first frames, and four more.
    let mut call = [animation(3), hashed(), animation(2), animation(4)];
    let expected = [
        [(0, 0, Plain), (0, 0, Scaled), (0, 1, Plain), (0, 2, Plain)].to_vec(),
        [(1, 0, Plain)].to_vec(),
        [(2, 0, Plain), (2, 0, Scaled), (2, 1, Plain)].to_vec(),
        [(3, 0, Plain), (3, 0, Scaled), (3, 1, Plain)].to_vec(),
    ];
    assert_eq!(taken(&mut call, 11), expected.concat());
    // Two frames of each file were left out by its decoder.
    assert_eq!(left_out(&call[0]), (3, 2, 2));
    assert_eq!(left_out(&call[2]), (2, 2, 1));
    assert_eq!(left_out(&call[3]), (2, 4, 1));
    assert_eq!(call[1].source, Source::Hashed);
}

#[test]
fn a_call_within_its_bound_leaves_nothing_out() {
    let mut call = [animation(3), animation(2)];
    assert_eq!(taken(&mut call, 10).len(), 10);
    assert_eq!([left_out(&call[0]), left_out(&call[1])], [(3, 2, 0), (2, 2, 0)]);
}

#[test]
fn first_frames_are_searched_whatever_the_bound() {
    let mut call = [animation(3), animation(2)];
    assert_eq!(taken(&mut call, 1).len(), 4);
    assert_eq!([left_out(&call[0]), left_out(&call[1])], [(1, 4, 0), (1, 3, 0)]);
}

#[test]
fn a_frame_that_looks_like_an_earlier_one_is_left_out_only_with_it() {
    let (first, again) = (frame(0, 10, 90), frame(1, 10, 90));
    let scaled = |number, byte| FrameFingerprint {
        further: vec![(Way::Scaled, hashes(byte, 90))],
        ..frame(number, 10, 90)
    };
    let later = vec![again, frame(2, 50, 90), frame(3, 50, 90), scaled(4, 90), frame(5, 50, 3)];
    let mut call = [Prepared::of_image(image(first, later), FLOOR)];
    assert_eq!(taken(&mut call, 1), [(0, 0, Way::Plain)]);
    // Frames 2 and 3 are left out, and one hash of frame 4.
    assert_eq!(left_out(&call[0]), (4, 4, 1));
}

#[test]
fn where_every_frame_is_too_poor_pdq_is_skipped() {
    let prepared = Prepared::of_image(image(frame(0, 10, 3), vec![]), FLOOR);
    assert_eq!(renditions(&prepared), [(0, Way::Plain, 2)]);
    assert_eq!(prepared.hash_types[0], (HashType::PDQ, Some(SkipReason::QualityBelowFloor)));
}

#[test]
fn what_cannot_be_decoded_is_searched_by_its_digests() {
    let failure = DecodeFailure { kind: DecodeFailureKind::Corrupt, message: "it is".to_owned() };
    let image = HashedImage { digests: vec![Hash::md5([1; 16])], hashes: Err(failure.clone()) };
    let prepared = Prepared::of_image(image, FLOOR);
    assert_eq!(renditions(&prepared), [(0, Way::Plain, 1)]);
    assert_eq!(prepared.hash_types, [(HashType::PDQ, Some(SkipReason::NotDecoded)), (HashType::MD5, None)]);
    assert_eq!(prepared.source, Source::Undecoded(failure));
}

#[test]
fn hashes_of_a_poor_image_are_left_out_but_its_digests_are_not() {
    let query = |hash| QueryHash { hash, variant: Variant::Original };
    let sent = vec![query(Hash::md5([1; 16])), query(Hash::pdq([1; 32])), query(Hash::pdq([2; 32]))];
    let poor = Prepared::of_hashes(sent.clone(), Some(Quality::new(49).unwrap()), FLOOR);
    assert_eq!(renditions(&poor), [(0, Way::Plain, 1)]);
    let skipped = Some(SkipReason::QualityBelowFloor);
    assert_eq!(poor.hash_types, [(HashType::PDQ, skipped), (HashType::MD5, None)]);
    assert_eq!(renditions(&Prepared::of_hashes(sent, None, FLOOR)), [(0, Way::Plain, 3)]);
}

#[test]
fn an_item_is_answered_once_by_its_nearest_match_with_its_frame_and_way() {
    let rendition = |frame, way| Rendition { frame, way };
    let found = |matches| QueryMatches { matches, ..QueryMatches::default() };
    let twice = Match { other_matches: 2, ..one_match(7, 9) };
    let all = [
        (rendition(0, Way::Plain), found(vec![one_match(5, 4), twice])),
        (rendition(0, Way::Scaled), found(vec![one_match(7, 3)])),
        (rendition(2, Way::Plain), found(vec![one_match(7, 3), one_match(6, 30)])),
    ];
    let merge = |limit| {
        let mut merged = Found::new(limit);
        for (rendition, answer) in all.clone() {
            merged.add(rendition, answer);
        }
        merged.finish()
    };
    let merged = merge(Limit::default());
    let answered: Vec<_> = merged
        .matches
        .iter()
        .map(|one| (one.item.0, one.distance.0, one.rendition, one.other_matches))
        .collect();
    let expected = [
        (7, 3, rendition(0, Way::Scaled), 4),
        (5, 4, rendition(0, Way::Plain), 0),
        (6, 30, rendition(2, Way::Plain), 0),
    ];
    assert_eq!(answered, expected);
    assert!(!merged.limit_reached);
    let cut = merge(Limit::new(2).unwrap());
    assert_eq!((cut.matches.len(), cut.limit_reached), (2, true));
}

#[test]
fn what_a_query_left_out_is_not_passed_over_by_another_and_what_is_kept_is_bounded() {
    let cut_one = QueryMatches {
        left_out: 7,
        limit_reached: true,
        matches: vec![one_match(1, 3), one_match(2, 9)],
        ..QueryMatches::default()
    };
    let whole = QueryMatches { matches: vec![one_match(3, 4), one_match(4, 12)], ..QueryMatches::default() };
    let mut found = Found::new(Limit::default());
    found.add(Rendition::default(), cut_one);
    found.add(Rendition { frame: 1, way: Way::Plain }, whole);
    let several = Found::cut_all(vec![found], 1 << 20);
    let result = several.into_iter().next().unwrap().finish();
    let items: Vec<_> = result.matches.iter().map(|one| one.item.0).collect();
    assert_eq!(
        (items, result.left_out),
        (vec![1, 3, 2], 8),
        "the farthest lies beyond what the first query gave"
    );

    let mut all: Vec<Found> = (0..3).map(|_| Found::new(Limit::default())).collect();
    for (at, found) in all.iter_mut().enumerate() {
        let matches = (0..20 * (at as u64 + 1)).map(|item| one_match(item + 1, 5)).collect();
        found.add(Rendition::default(), QueryMatches { matches, ..QueryMatches::default() });
    }
    let bytes_max = 60 * one_match(1, 5).bytes();
    let all = Found::cut_all(all, bytes_max);
    assert!(all.iter().map(Found::bytes).sum::<usize>() <= bytes_max);
    let results: Vec<_> = all.into_iter().map(Found::finish).collect();
    let kept: Vec<_> = results.iter().map(|one| (one.matches.len(), one.left_out)).collect();
    assert_eq!(kept, [(20, 0), (20, 20), (20, 40)]);
}

#[test]
fn of_many_items_the_nearest_are_kept() {
    let limit = Limit::new(3).unwrap();
    let mut found = Found::new(limit);
    for query in 0..40_u64 {
        let matches =
            vec![one_match(query * 2, 30), one_match(query * 2 + 1, u32::try_from(query % 29).unwrap())];
        found.add(Rendition::default(), QueryMatches { matches, ..QueryMatches::default() });
        assert!(found.items.len() <= limit.get() * 4);
    }
    let found = found.finish();
    let nearest: Vec<_> = found.matches.iter().map(|one| (one.distance.0, one.item.0)).collect();
    assert_eq!(nearest, [(0, 1), (0, 59), (1, 3)]);
    assert!(found.limit_reached);
}
