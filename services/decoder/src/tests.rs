//! The loop of a decoder process, run without a process.

use vigie_classifiers::PictureForm;
use vigie_classifiers::preprocessing::{Filter, Resize};
use vigie_media::outside::Mosaic;
use vigie_media::{HashedPicture, Limits, Ways};
use vigie_model::{FrameFingerprint, PictureFingerprint, PictureHashes, Quality};
use vigie_proto::pb::decoder::v1 as pb;

use super::*;

/// Returns a picture as wide as the content is long. Empty content panics; if the content begins with `L`,
/// the second frame panics.
fn decode(content: &[u8], _: &Order) -> Result<Decoded, DecodeFailure> {
    assert!(!content.is_empty(), "on purpose");
    let plain = PictureHashes { pdq: [[content[0]; 32]; 8], quality: Quality::new(80).unwrap() };
    let first = FrameFingerprint { number: 0, time: None, plain, further: Vec::new() };
    let width = u32::try_from(content.len()).unwrap();
    let later_fault = (content[0] == b'L').then_some(DecodeFailureKind::Panicked);
    let frames_left_out = later_fault.map_or(0, |_| 1);
    let later = Vec::new();
    let fingerprint = PictureFingerprint { width, height: 1, first, later, frames_left_out, later_fault };
    Ok(Decoded::Picture(HashedPicture::without_pixels(fingerprint)))
}

fn request(content: &[u8]) -> Vec<u8> {
    request_in_forms(content, &[])
}

fn request_in_forms(content: &[u8], forms: &[PictureForm]) -> Vec<u8> {
    let message = decoder::request(content.len(), &Limits::default(), Ways::default(), forms).encode_to_vec();
    let mut request = Vec::new();
    messages::write(&mut request, &message).unwrap();
    request.extend(content);
    request
}

fn answers(output: &[u8]) -> Vec<Result<Decoded, DecodeFailure>> {
    answers_in_forms(output, &[])
}

fn answers_in_forms(mut output: &[u8], forms: &[PictureForm]) -> Vec<Result<Decoded, DecodeFailure>> {
    let mut answers = Vec::new();
    while let Some(answer) = messages::read(&mut output, decoder::answer_bytes_max(forms)).unwrap() {
        answers
            .push(decoder::outcome(pb::DecodeResponse::decode(answer.as_slice()).unwrap(), forms).unwrap());
    }
    answers
}

#[test]
fn each_request_has_its_answer_and_a_panic_is_one_of_them() {
    let input = [request(b"abc"), request(b""), request(b"z")].concat();
    let mut output = Vec::new();
    work(input.as_slice(), &mut output, decode).unwrap();
    let outcomes: Vec<_> = answers(&output)
        .into_iter()
        .map(|answer| answer.map(width).map_err(|failure| failure.kind))
        .collect();
    assert_eq!(outcomes, [Ok(3), Err(DecodeFailureKind::Panicked), Ok(1)]);
}

fn width(decoded: Decoded) -> u32 {
    match decoded {
        Decoded::Picture(picture) => picture.fingerprint.width,
        Decoded::Outside(outside) => outside.mosaic.width,
    }
}

const FORMS: [PictureForm; 2] = [
    PictureForm { width: 32, height: 24, resize: Resize::Stretch, filter: Filter::Bilinear },
    PictureForm { width: 20, height: 20, resize: Resize::Fit { pad: [1, 2, 3] }, filter: Filter::Area },
];

#[test]
fn pixels_are_hashed_and_not_decoded() {
    let mosaic = Mosaic { frames_left_out: 2, ..Mosaic::single(70, 60) };
    let head = decoder::pixels_request(&mosaic, &Limits::default(), Ways::default(), &FORMS).encode_to_vec();
    let mut input = Vec::new();
    messages::write(&mut input, &head).unwrap();
    let picture = vigie_pictures::draw(3, 70, 60);
    input.extend(picture.as_raw());
    let mut output = Vec::new();
    work(input.as_slice(), &mut output, decode).unwrap();
    let content = vigie_pictures::Format::Png.encode(&picture);
    let mut expected =
        vigie_media::picture_in_forms(&content, &Limits::default(), Ways::default(), &FORMS).unwrap();
    assert!(expected.pixels.iter().all(Option::is_some));
    expected.fingerprint.frames_left_out = 2;
    assert_eq!(answers_in_forms(&output, &FORMS), [Ok(Decoded::Picture(expected))]);
}

#[test]
fn the_first_frame_comes_in_each_form_and_a_failure_has_no_pixels() {
    let content = vigie_pictures::Format::Png.encode(&vigie_pictures::draw(3, 70, 60));
    let answer = |content: &[u8], forms: &[PictureForm]| {
        let mut output = Vec::new();
        work(request_in_forms(content, forms).as_slice(), &mut output, super::decode).unwrap();
        answers_in_forms(&output, forms).remove(0)
    };
    for forms in [&FORMS[..], &[]] {
        let expected =
            vigie_media::picture_in_forms(&content, &Limits::default(), Ways::default(), forms).unwrap();
        assert_eq!(expected.pixels.len(), forms.len());
        assert_eq!(answer(&content, forms), Ok(Decoded::Picture(expected)));
    }
    let failed = answer(&content[..100], &FORMS).unwrap_err();
    assert_eq!(failed.kind, DecodeFailureKind::Truncated);
}

#[test]
fn an_answer_carries_the_panic_of_a_later_frame() {
    let mut output = Vec::new();
    work([request(b"Later"), request(b"sound")].concat().as_slice(), &mut output, decode).unwrap();
    let faults: Vec<_> = answers(&output)
        .into_iter()
        .map(|answer| match answer {
            Ok(Decoded::Picture(HashedPicture { fingerprint, .. })) => {
                (fingerprint.later_fault, fingerprint.frames_left_out)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(faults, [(Some(DecodeFailureKind::Panicked), 1), (None, 0)]);
}

#[test]
fn a_request_that_is_cut_off_too_long_or_malformed_ends_the_loop() {
    let whole = request(b"abc");
    let mut output = Vec::new();
    assert!(work(&whole[..whole.len() - 1], &mut output, decode).is_err());
    assert!(work([0xff; 64].as_slice(), &mut output, decode).is_err());
    assert!(work([4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff].as_slice(), &mut output, decode).is_err());
    assert!(output.is_empty());
}

#[test]
fn other_commands_are_left_alone() {
    let arguments = |all: &[&str]| all.iter().map(OsString::from).collect::<Vec<_>>();
    assert!(run_with(arguments(&["hash", "decode-worker"]), decode).is_none());
    assert!(run_with(arguments(&[]), decode).is_none());
    let refused = run_with(arguments(&["decode-worker", "much"]), decode).unwrap();
    assert_eq!(format!("{refused:?}"), format!("{:?}", ExitCode::FAILURE));
}
