//! The messages between a hashing thread and its decoder process.

use super::*;
use crate::pb::model::v1 as pb_model;
use prost::Message as _;
use vigie_classifiers::RgbPicture;
use vigie_classifiers::preprocessing::{Filter, Resize};
use vigie_model::{FrameFingerprint, PictureHashes, Quality};

fn picture() -> PictureFingerprint {
    let plain = PictureHashes { pdq: [[7; 32]; 8], quality: Quality::new(80).unwrap() };
    let first = FrameFingerprint { number: 0, time: None, plain, further: Vec::new() };
    PictureFingerprint {
        width: 640,
        height: 1,
        first,
        later: Vec::new(),
        frames_left_out: 7,
        later_fault: Some(DecodeFailureKind::Panicked),
    }
}

/// The largest number of forms, with every filter and every resize.
fn forms() -> Vec<PictureForm> {
    let resizes =
        [Resize::Stretch, Resize::CoverThenCrop { resize_to: 2_048 }, Resize::Fit { pad: [255, 0, 9] }];
    let filters = [Filter::Bilinear, Filter::Bicubic, Filter::Area, Filter::Nearest];
    let both = filters.into_iter().flat_map(|filter| resizes.map(|resize| (filter, resize)));
    let form = |(filter, resize)| PictureForm { width: 1_024, height: 16, resize, filter };
    let of_all = both.map(form).skip(2).take(PictureForm::COUNT_MAX).collect::<Vec<_>>();
    assert_eq!(of_all.len(), PictureForm::COUNT_MAX);
    of_all
}

/// A picture for each form except the second.
fn pixels() -> Vec<Option<RgbPicture>> {
    let picture = |form: &PictureForm| RgbPicture::new(form.width, form.height, vec![7; form.bytes()]).ok();
    forms().iter().enumerate().map(|(at, form)| picture(form).filter(|_| at != 1)).collect()
}

fn failure(message: &str) -> DecodeFailure {
    DecodeFailure { kind: DecodeFailureKind::Truncated, message: message.to_owned() }
}

#[test]
fn requests_and_answers_survive_the_wire() {
    let ways = Ways { scaled: false, ..Ways::default() };
    let order = Order { content_bytes: 12, limits: Limits::default(), ways, pixels: None, forms: forms() };
    let sent = request(order.content_bytes, &order.limits, order.ways, &order.forms);
    assert!(sent.encoded_len() <= REQUEST_BYTES_MAX);
    assert_eq!(Order::try_from(sent).unwrap(), order);
    let decoded = Decoded::Picture(HashedPicture { fingerprint: picture(), pixels: pixels() });
    let sent = response(Ok(decoded.clone()));
    assert!(sent.encoded_len() <= answer_bytes_max(&forms()));
    assert_eq!(outcome(sent, &forms()).unwrap(), Ok(decoded));
    let failure = failure("the file ends early");
    assert_eq!(outcome(response(Err(failure.clone())), &forms()).unwrap(), Err(failure));
    for one in Posture::ALL {
        assert!(hello(one).encoded_len() <= HELLO_BYTES_MAX);
        assert_eq!(posture(&hello(one)).unwrap(), one);
    }
}

fn mosaic() -> Mosaic {
    Mosaic { columns: 2, orientation: 6, frames_left_out: 3, left: 1, top: 2, ..Mosaic::single(8, 6) }
}

#[test]
fn pictures_of_a_program_outside_survive_the_wire() {
    let (limits, ways) = (Limits::default(), Ways::default());
    let mosaic = Mosaic { height: 4, ..mosaic() };
    let sent = pixels_request(&mosaic, &limits, ways, &forms());
    assert!(sent.encoded_len() <= REQUEST_BYTES_MAX);
    let order = Order { content_bytes: 2 * 8 * 6 * 3, limits, ways, pixels: Some(mosaic), forms: forms() };
    assert_eq!(Order::try_from(sent).unwrap(), order);
    for coding in Coding::ALL {
        let parts = vec![Part { offset: usize::MAX, bytes: usize::MAX, is_unit: true }; Part::COUNT_MAX];
        let meaning = Some(Meaning { matrix: 9, full_range: true });
        let outside = Decoded::Outside(Outside { coding, parts, meaning, mosaic });
        let sent = response(Ok(outside.clone()));
        assert!(sent.encoded_len() <= ANSWER_BYTES_MAX);
        assert_eq!(outcome(sent, &forms()).unwrap(), Ok(outside));
    }
}

#[test]
fn pixels_are_as_many_as_their_picture_has_and_within_the_limits() {
    let limits = Limits::default();
    let sent = pixels_request(&Mosaic::single(8, 6), &limits, Ways::default(), &[]);
    assert!(Order::try_from(pb::DecodeRequest { content_bytes: 143, ..sent }).is_err());
    for beyond in [Mosaic::single(20_000, 1), Mosaic::single(0, 1), mosaic()] {
        assert!(
            Order::try_from(pixels_request(&beyond, &limits, Ways::default(), &[])).is_err(),
            "{beyond:?}"
        );
    }
}

#[test]
fn a_file_that_is_larger_than_its_limit_is_not_read() {
    let limits = Limits { input_bytes_max: 11, ..Limits::default() };
    assert!(Order::try_from(request(12, &limits, Ways::default(), &[])).is_err());
}

#[test]
fn a_long_message_is_cut_and_not_refused() {
    let cut = outcome(response(Err(failure(&"é".repeat(400)))), &[]).unwrap().unwrap_err();
    assert_eq!(cut.message, "é".repeat(256));
}

#[test]
fn answers_that_no_decoder_gives_are_refused() {
    assert!(outcome(pb::DecodeResponse::default(), &[]).is_err());
    for message in ["", "two\nlines"] {
        assert!(outcome(response(Err(failure(message))), &[]).is_err());
    }
    let unknown = pb_model::DecodeFailure { kind: "no".to_owned(), message: "text".to_owned() };
    let outcome_of = |failure| Some(pb::decode_response::Outcome::Failure(failure));
    assert!(outcome(pb::DecodeResponse { outcome: outcome_of(unknown), pixels: Vec::new() }, &[]).is_err());
    for later_fault in [DecodeFailureKind::Crashed, DecodeFailureKind::Unsupported] {
        let picture = PictureFingerprint { later_fault: Some(later_fault), ..picture() };
        let picture = HashedPicture::without_pixels(picture);
        assert!(outcome(response(Ok(Decoded::Picture(picture))), &[]).is_err());
    }
}

#[test]
fn forms_out_of_bounds_are_refused() {
    let form = forms().remove(0);
    let sent = |change: &dyn Fn(&mut pb::PictureForm)| {
        let mut sent = request(1, &Limits::default(), Ways::default(), &[form]);
        change(&mut sent.forms[0]);
        Order::try_from(sent)
    };
    assert!(sent(&|_| ()).is_ok());
    use pb::picture_form::Resize::{CoverThenCrop, FitWithPad, Stretch};
    let changes: [&dyn Fn(&mut pb::PictureForm); 10] = [
        &|form| form.width = 15,
        &|form| form.width = 1_025,
        &|form| form.height = 0,
        &|form| form.filter = 0,
        &|form| form.filter = 9,
        &|form| form.resize = None,
        &|form| form.resize = Some(Stretch(false)),
        &|form| form.resize = Some(CoverThenCrop(1_023)),
        &|form| form.resize = Some(CoverThenCrop(2_049)),
        &|form| form.resize = Some(FitWithPad(0x0100_0000)),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(sent(change).is_err(), "change {number}");
    }
    let many = vec![form; PictureForm::COUNT_MAX + 1];
    assert!(Order::try_from(request(1, &Limits::default(), Ways::default(), &many)).is_err());
}

#[test]
fn pixels_that_are_not_those_of_the_forms_are_refused() {
    let decoded = || Decoded::Picture(HashedPicture { fingerprint: picture(), pixels: pixels() });
    let received = |change: &dyn Fn(&mut Vec<Vec<u8>>), forms: &[PictureForm]| {
        let mut sent = response(Ok(decoded()));
        change(&mut sent.pixels);
        outcome(sent, forms)
    };
    let forms = forms();
    assert!(received(&|_| (), &forms).is_ok());
    assert!(received(&|_| (), &forms[1..]).is_err());
    assert!(received(&|_| (), &[]).is_err());
    type Change<'a> = &'a dyn Fn(&mut Vec<Vec<u8>>);
    let changes: [Change<'_>; 5] = [
        &|pixels| drop(pixels.pop()),
        &|pixels| pixels.push(Vec::new()),
        &|pixels| pixels.clear(),
        &|pixels| pixels[0].truncate(1),
        &|pixels| pixels[0].push(0),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(received(change, &forms).is_err(), "change {number}");
    }
    let failed =
        pb::DecodeResponse { pixels: vec![Vec::new(); forms.len()], ..response(Err(failure("short"))) };
    assert!(outcome(failed, &forms).is_err());
}
