//! The first frame in the forms of classifiers: the pixels are those of the picture that is hashed, and the
//! hashes are the same with them and without.

use std::fs;
use std::path::Path;

use vigie_classifiers::preprocessing::{Filter, Resize};
use vigie_classifiers::{PictureForm, RgbPicture, RgbView};
use vigie_media::{HashedPicture, Limits, Ways, decode, picture, picture_in_forms};
use vigie_pictures::{Format, RgbImage, draw};

/// Every filter with every resize.
fn forms() -> Vec<PictureForm> {
    let resizes =
        [Resize::Stretch, Resize::CoverThenCrop { resize_to: 40 }, Resize::Fit { pad: [200, 100, 50] }];
    let filters = [Filter::Bilinear, Filter::Bicubic, Filter::Area, Filter::Nearest];
    let both = filters.into_iter().flat_map(|filter| resizes.map(|resize| (filter, resize)));
    both.map(|(filter, resize)| PictureForm { width: 32, height: 24, resize, filter }).collect()
}

fn hashed(content: &[u8], forms: &[PictureForm]) -> HashedPicture {
    picture_in_forms(content, &Limits::default(), Ways::default(), forms).unwrap()
}

/// The pixels of the file are those of resizing these samples, and the hashes are those without pixels.
#[track_caller]
fn check(name: &str, content: &[u8], (width, height): (u32, u32), rgb: &[u8]) {
    let view = RgbView::new(width, height, rgb).unwrap();
    let found = hashed(content, &forms());
    for (form, pixels) in forms().iter().zip(&found.pixels) {
        assert!(pixels.as_ref() == Some(&form.resize(view).unwrap()), "{name}: {form:?}");
    }
    assert_eq!(found.pixels.len(), forms().len());
    assert_eq!(found.fingerprint, picture(content, &Limits::default(), Ways::default()).unwrap(), "{name}");
}

/// The samples are known without a decoder here.
#[test]
fn a_lossless_picture_is_resized_from_its_own_samples() {
    for (width, height) in [(70, 60), (321, 123), (16, 200)] {
        let drawn = draw(5, width, height);
        check("png", &Format::Png.encode(&drawn), drawn.dimensions(), drawn.as_raw());
    }
}

/// Every file of the vectors, as `decode` gives it: palettes, animations, alpha, turned pages of TIFF, and
/// JPEG whose tag of a turn is ignored, since PDQ's picture is that too.
#[test]
fn every_file_is_resized_from_the_picture_that_is_hashed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(content) = fs::read(&path) else { continue };
        let Ok(decoded) = decode(&content, &Limits::default()) else { continue };
        check(&path.display().to_string(), &content, (decoded.width(), decoded.height()), decoded.rgb());
        seen += 1;
    }
    assert!(seen > 80, "{seen} files");
}

/// PDQ's picture ignores the tag of a turn in a photograph, as Pillow does.
#[test]
fn a_photograph_with_the_tag_of_a_turn_has_the_pixels_that_it_has_without() {
    let drawn = draw(6, 90, 60);
    let plain = Format::Jpeg(90).encode(&drawn);
    // Exif with one entry: 0x112, a short, 6 (a quarter turn).
    let exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let turned = [&plain[..2], exif, &plain[2..]].concat();
    assert!(hashed(&turned, &forms()) == hashed(&plain, &forms()));
    let size = |picture: HashedPicture| (picture.fingerprint.width, picture.fingerprint.height);
    assert_eq!(size(hashed(&turned, &[])), (90, 60));
}

/// A large JPEG is hashed from pixels that are not exact; those that are handed on are.
#[test]
fn a_large_photograph_has_exact_pixels_and_the_hash_of_the_quick_decoder() {
    for (side, quality) in [(700, 85), (1_700, 75), (3_200, 90)] {
        let content = Format::Jpeg(quality).encode(&draw(9, side, side - side / 5));
        let exact = decode(&content, &Limits::default()).unwrap();
        check("jpeg", &content, (exact.width(), exact.height()), exact.rgb());
    }
}

#[test]
fn a_picture_that_is_too_narrow_for_a_form_is_hashed_without_it() {
    let hair = RgbImage::from_fn(1, 4_000, |_, y| image::Rgb([u8::try_from(y % 251).unwrap(); 3]));
    let content = Format::Png.encode(&hair);
    let narrow = PictureForm {
        width: 224,
        height: 224,
        resize: Resize::CoverThenCrop { resize_to: 256 },
        filter: Filter::Bilinear,
    };
    let wide = PictureForm { resize: Resize::Stretch, ..narrow };
    let found = hashed(&content, &[narrow, wide]);
    assert_eq!(found.pixels[0], None);
    assert_eq!(found.pixels[1].as_ref().map(RgbPicture::width), Some(224));
    assert_eq!(found.fingerprint, hashed(&content, &[]).fingerprint);
}

#[test]
fn no_pixels_are_in_debug_output() {
    let content = Format::Png.encode(&draw(5, 64, 64));
    let shown = format!("{:?}", hashed(&content, &forms()[..1]).pixels);
    assert_eq!(shown, "[Some(RgbPicture(32 x 24))]");
}
