//! Decoder processes that give the first frame as pixels.

use std::time::Duration;

use vigie_classifiers::PictureForm;
use vigie_classifiers::preprocessing::{Filter, Resize};
use vigie_clients::decoder::{DecoderError, DecoderSettings};
use vigie_media::{Limits, Ways};
use vigie_model::DecodeFailureKind;
use vigie_pictures::Format;

use super::super::decoder::{PATIENCE, Watched, animation, fixtures, settings};

/// Each in another size, by every filter and every resize.
const FORMS: [PictureForm; 4] = [
    PictureForm { width: 64, height: 48, resize: Resize::Stretch, filter: Filter::Bilinear },
    PictureForm {
        width: 32,
        height: 32,
        resize: Resize::CoverThenCrop { resize_to: 40 },
        filter: Filter::Bicubic,
    },
    PictureForm { width: 96, height: 20, resize: Resize::Fit { pad: [9, 8, 7] }, filter: Filter::Area },
    PictureForm { width: 224, height: 224, resize: Resize::Stretch, filter: Filter::Nearest },
];

/// Whatever the file is: the process gives the pixels that decoding here gives, and the hashes that it gives
/// without them.
#[test]
fn pixels_are_those_of_decoding_in_this_process() {
    let mut watched = Watched::new(settings());
    for (name, content) in fixtures() {
        let here = vigie_media::picture_in_forms(&content, &Limits::default(), Ways::default(), &FORMS);
        match (here, watched.hash_in(&content, &FORMS, PATIENCE)) {
            (Ok(here), Ok(there)) => {
                assert!(here == there, "{name}");
                assert_eq!(watched.hash(&content).unwrap(), there.fingerprint, "{name}");
            }
            (Err(_), Err(DecoderError::Decode(_))) => {}
            (here, there) => panic!("{name}: {here:?} here, {there:?} there"),
        }
    }
    assert_eq!(watched.figure("vigie_decoder_starts_total"), 1);
}

/// A later frame that kills its process costs nothing of the first one's pixels.
#[test]
fn a_first_frame_whose_successor_is_deadly_has_its_pixels() {
    let mut watched = Watched::new(settings());
    let whole = watched.hash_in(&animation(""), &FORMS, PATIENCE).unwrap();
    let first = watched.hash_in(&animation("later frame: abort"), &FORMS, PATIENCE).unwrap();
    assert!(first.pixels == whole.pixels && whole.pixels.iter().all(Option::is_some));
    assert_eq!(first.fingerprint.later_fault, Some(DecodeFailureKind::Crashed));
}

/// A process has memory for the largest forms of the largest picture that it decodes, or leaves them out; it
/// does not die of them.
#[test]
fn the_largest_forms_of_the_largest_picture_kill_no_process() {
    // Memory is what is tried: without optimisation a resize takes long.
    let patient = Duration::from_secs(300);
    let mut watched = Watched::new(DecoderSettings { processor_time_max: patient, ..settings() });
    let limits = Limits::default();
    let side = limits.side_px_max;
    let wide = vigie_pictures::RgbImage::new(side, u32::try_from(limits.pixels_max).unwrap() / side);
    let content = Format::Png.encode(&wide);
    let form = PictureForm {
        width: 1_024,
        height: 1_024,
        resize: Resize::CoverThenCrop { resize_to: 1_900 },
        filter: Filter::Bicubic,
    };
    let hashed = watched.hash_in(&content, &[form; 2], patient).unwrap();
    assert_eq!(hashed.fingerprint.width, side);
    assert_eq!(watched.figure("vigie_decoder_starts_total"), 1);
}
