//! Checks that frames and their times equal those of Pillow 13, and that faults end decoding at the right
//! frame.

use std::time::Duration;

use super::*;
use crate::decode::tests::{Seen, file, seen_by};

fn decoded(content: &[u8], limits: &Limits) -> Seen {
    seen_by(decode, content, limits)
}

/// Returns the expected frames of `animated.avif`.
fn animated(frames: usize) -> Vec<(u128, String)> {
    let all = [
        (0, "e85026ffc2446154346fc37e1e980d77"),
        (100, "69a7443183376f40a1c54d7e86bc5085"),
        (350, "29bc893d30e59b1ce3159feecd663515"),
    ];
    all[..frames].iter().map(|&(time, md5)| (time, md5.to_owned())).collect()
}

/// Returns the position of `part` in `content`.
fn find_bytes(content: &[u8], part: &[u8]) -> usize {
    content.windows(part.len()).position(|window| window == part).unwrap()
}

#[test]
fn each_frame_of_a_sequence_is_decoded_with_its_time() {
    assert_eq!(decoded(&file("animated.avif"), &Limits::default()), (animated(3), 0, None));
}

#[test]
fn frames_beyond_the_limits_are_counted() {
    let content = file("animated.avif");
    let few = Limits { frames_max: 1, ..Limits::default() };
    assert_eq!(decoded(&content, &few), (animated(1), 2, None));
    let small = Limits { frames_pixels_max: 160 * 120 * 2, ..Limits::default() };
    assert_eq!(decoded(&content, &small), (animated(2), 1, None));
}

#[test]
fn a_damaged_frame_ends_a_sequence_and_the_rest_is_counted() {
    let mut content = file("animated.avif");
    let track = track::read(&content, 3).unwrap();
    let second = track.samples[1].1.as_ptr() as usize - content.as_ptr() as usize;
    // A frame whose kind and size do not exist, in place of a valid one.
    content[second..second + 30].fill(0xff);
    let (seen, left_out, fault) = decoded(&content, &Limits::default());
    assert_eq!((seen, left_out), (animated(1), 1));
    assert_eq!(fault, Some(damaged()));
}

#[test]
fn a_still_file_with_a_track_too_is_its_primary_picture_and_the_track_is_left_out() {
    let mut content = file("animated.avif");
    content[8..12].copy_from_slice(b"avif");
    let (seen, left_out, fault) = decoded(&content, &Limits::default());
    assert_eq!((seen.len(), left_out, fault), (1, 3, None));
    assert_eq!(seen[0].0, Duration::MAX.as_millis());
    // A track that cannot be read also counts as having frames.
    let at = find_bytes(&content, b"stsd");
    content[at] ^= 1;
    assert_eq!(decoded(&content, &Limits::default()), (seen, 1, None));
}

#[test]
fn a_primary_picture_beside_a_sequence_is_left_out_unless_it_is_the_first_frame() {
    let mut content = file("animated.avif");
    let at = find_bytes(&content, b"iloc") + 4;
    // The item's extent, of 4 bytes each for offset and length, at the end of the box.
    let end = at - 8 + u32::from_be_bytes(*content[at - 8..].first_chunk().unwrap()) as usize;
    content[end - 1] ^= 1;
    assert_eq!(decoded(&content, &Limits::default()), (animated(3), 1, None));
}

#[test]
fn tiles_cover_the_picture_and_are_as_many_as_declared() {
    let content = file("tiles.avif");
    assert_eq!(decoded(&content, &Limits::default()).2, None);
    // The grid's own numbers, at the start of the data: rows and columns less one, width, height.
    let at = find_bytes(&content, b"idat") + 4;
    for (place, value) in [(2, 0), (2, 2), (3, 1), (4, 1), (5, 20), (7, 0xff)] {
        let mut content = content.clone();
        content[at + place] = value;
        assert_eq!(decoded(&content, &Limits::default()).2, Some(damaged()), "{place}: {value}");
    }
}

#[test]
fn colours_multiplied_by_alpha_are_refused() {
    for name in ["refused/premultiplied.avif", "refused/premultiplied-animated.avif"] {
        let content = file(name);
        assert_eq!(decoded(&content, &Limits::default()), (vec![], 0, Some(PREMULTIPLIED)), "{name}");
        // Without the reference, the colours are separate from the alpha.
        let plain = content.iter().enumerate().map(|(at, byte)| match content[at..].get(..4) {
            Some(b"prem") => b'x',
            _ => *byte,
        });
        let (seen, _, fault) = decoded(&plain.collect::<Vec<_>>(), &Limits::default());
        assert!(!seen.is_empty() && fault.is_none(), "{name}: {fault:?}");
    }
}

#[test]
fn one_layer_of_several_is_refused() {
    let mut content = file("colour-420.avif");
    // A property of the picture that does not change its pixels here, and is as long as a layer's number.
    let at = find_bytes(&content, b"pixi");
    content[at..at + 4].copy_from_slice(b"lsel");
    let fault = decoded(&content, &Limits::default()).2;
    assert!(matches!(fault, Some(DecodeError::Unsupported { .. })), "{fault:?}");
}

#[test]
fn an_item_coded_by_hevc_needs_another_decoder() {
    let mut content = file("colour-420.avif");
    let at = find_bytes(&content, b"infe") + 12;
    assert_eq!(&content[at..at + 4], b"av01");
    content[at..at + 4].copy_from_slice(b"hvc1");
    let fault = decoded(&content, &Limits::default()).2;
    assert_eq!(fault, Some(DecodeError::DecoderMissing { format: "HEIC" }));
}

#[test]
fn many_hidden_frames_are_not_decoded() {
    let header = Header { width: 160, ..Header::read(&track_sample()).unwrap() };
    let mut sample = track_sample();
    sample.extend([0x1a, 0].repeat(units::FRAMES_MAX));
    let fault = decode_sample(&mut decoder(&header, 0).unwrap(), &sample).err();
    assert!(matches!(fault, Some(DecodeError::Unsupported { .. })), "{fault:?}");
}

/// Returns the first sample of `animated.avif`.
fn track_sample() -> Vec<u8> {
    track::read(&file("animated.avif"), 1).unwrap().samples[0].1.to_vec()
}

#[test]
fn a_frame_larger_than_its_header_allows_is_refused() {
    let sample = track_sample();
    let mut small = Decoder::new(160 * 120 - 1, 0).unwrap();
    assert!(small.decode(&sample).is_none());
    let mut enough = Decoder::new(160 * 120, 0).unwrap();
    let planes = enough.decode(&sample).unwrap();
    assert_eq!((planes.width, planes.height, planes.layout, planes.bits), (160, 120, Layout::Colour420, 8));
}

#[test]
fn memory_is_checked_on_what_is_declared() {
    for (name, bytes) in
        [("colour-420.avif", 2 * 3 / 2), ("colour-444.avif", 2 * 3), ("grey.avif", 2), ("animated.avif", 15)]
    {
        let declared = 256 * 128 * (bytes + STATE_BYTES_PER_PX) + 160 * 120 * 3 + STATE_BYTES;
        let enough = Limits { alloc_bytes_max: declared, ..Limits::default() };
        assert_eq!(decoded(&file(name), &enough).2, None, "{name}");
        let short = Limits { alloc_bytes_max: declared - 1, ..Limits::default() };
        let fault = decoded(&file(name), &short).2;
        assert!(matches!(fault, Some(DecodeError::AllocTooLarge { .. })), "{name}: {fault:?}");
    }
}
