//! Checks that frames and their times equal those of Pillow 13, and that faults end decoding at the right
//! frame.

use std::time::Duration;

use super::*;
use crate::decode::tests::{Seen, file, seen_by};
use crate::limits::Limits;

fn decoded(content: &[u8], limits: &Limits) -> Seen {
    seen_by(decode, content, limits)
}

/// A file with partial frames, alpha, areas that are cleared, and areas that are not blended.
const AREAS: [(u128, &str); 4] = [
    (0, "d06b69853dc644df7ce7c739c8e47a42"),
    (100, "f06f9ee8f2cc4d0c836437e867c4bd57"),
    (350, "79ead1fd34e59d627d6e8459ee0812ae"),
    (420, "c77dc0f25eda2563958f7f887d4e448b"),
];

fn of_areas(frames: usize) -> Vec<(u128, String)> {
    AREAS[..frames].iter().map(|&(time, md5)| (time, md5.to_owned())).collect()
}

#[test]
fn each_frame_of_an_animation_is_the_whole_canvas_at_its_time() {
    let whole = [
        (0, "eb42e4f48cb55bb7e04a1e170c2f94a0".to_owned()),
        (100, "2d897f6384f7cf02140c4b13af136b31".to_owned()),
        (200, "c9ecc6de35577db2c716f4adf490a3a3".to_owned()),
    ];
    assert_eq!(decoded(&file("animated.webp"), &Limits::default()), (whole.to_vec(), 0, None));
    assert_eq!(decoded(&file("animated-areas.webp"), &Limits::default()), (of_areas(4), 0, None));
}

#[test]
fn frames_beyond_the_limits_are_counted() {
    let content = file("animated-areas.webp");
    let few = Limits { frames_max: 2, ..Limits::default() };
    assert_eq!(decoded(&content, &few), (of_areas(2), 2, None));
    let small = Limits { frames_pixels_max: 120 * 90 * 3, ..Limits::default() };
    assert_eq!(decoded(&content, &small), (of_areas(3), 1, None));
}

#[test]
fn a_damaged_frame_ends_an_animation_and_the_rest_is_counted() {
    let mut content = file("animated-areas.webp");
    let is_frame = |at: &usize| content[*at..].starts_with(b"VP8L");
    let at = (0..content.len()).filter(is_frame).nth(2).unwrap();
    // Everything after the lossless picture's header.
    content[at + 13..at + 40].fill(0xff);
    let (seen, left_out, fault) = decoded(&content, &Limits::default());
    assert_eq!((seen, left_out), (of_areas(2), 1));
    assert!(matches!(fault, Some(DecodeError::Corrupt { .. })), "{fault:?}");
}

#[test]
fn a_still_picture_has_no_time() {
    let (seen, ..) = decoded(&file("lossless.webp"), &Limits::default());
    assert_eq!(seen, [(Duration::MAX.as_millis(), "eb42e4f48cb55bb7e04a1e170c2f94a0".to_owned())]);
}

#[test]
fn a_header_may_announce_chunks_that_are_not_there() {
    let plain = decoded(&file("lossy.webp"), &Limits::default());
    assert_eq!(plain.0.len(), 1);
    for name in ["announced-exif.webp", "announced-colour-profile.webp", "announced-alpha.webp"] {
        assert_eq!(decoded(&file(name), &Limits::default()), plain, "{name}");
    }
}

#[test]
fn alpha_is_not_decoded() {
    let mut content = file("lossy-alpha.webp");
    let at = (0..content.len()).find(|&at| content[at..].starts_with(b"ALPH")).unwrap();
    let whole = decoded(&content, &Limits::default());
    content[at + 9..at + 60].fill(0xff);
    assert_eq!(decoded(&content, &Limits::default()), whole);
}

#[test]
fn a_picture_that_ends_within_a_whole_container_is_refused() {
    let mut content = file("lossy.webp");
    let keep = content.len() / 2 * 2 - 600;
    content.truncate(keep);
    let riff = u32::try_from(keep - 8).unwrap().to_le_bytes();
    let chunk = u32::try_from(keep - 20).unwrap().to_le_bytes();
    content[4..8].copy_from_slice(&riff);
    content[16..20].copy_from_slice(&chunk);
    let (seen, _, fault) = decoded(&content, &Limits::default());
    assert_eq!(seen, []);
    assert!(matches!(fault, Some(DecodeError::Truncated { .. } | DecodeError::Corrupt { .. })), "{fault:?}");
}

#[test]
fn memory_is_checked_on_what_is_declared() {
    // 160 x 120: RGB; for the lossless picture also the decoder's own copy; for the animation two canvases
    // with alpha.
    for (name, bytes) in
        [("lossy.webp", 19_200 * 3), ("lossless.webp", 19_200 * 7), ("animated.webp", 19_200 * 16)]
    {
        let rows = 160 * ROW_BYTES_PER_PX;
        let enough = Limits { alloc_bytes_max: bytes + rows, ..Limits::default() };
        assert_eq!(decoded(&file(name), &enough).2, None, "{name}");
        let short = Limits { alloc_bytes_max: bytes + rows - 1, ..Limits::default() };
        let fault = decoded(&file(name), &short).2;
        assert!(matches!(fault, Some(DecodeError::AllocTooLarge { .. })), "{name}: {fault:?}");
    }
}
