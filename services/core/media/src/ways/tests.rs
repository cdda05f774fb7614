use super::*;
use crate::frames::Frame;
use crate::picture::Picture;

/// Returns a picture of soft shapes that looks the same at every size.
fn draw(width: u32, height: u32) -> Picture {
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            for phase in [0.0, 0.3, 0.6] {
                let waves = (u * 19.0 + phase).sin() * (v * 13.0 - phase).cos() + (u * v * 41.0).sin() * 0.7;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
                rgb.push((127.0 + 70.0 * waves).clamp(0.0, 255.0) as u8);
            }
        }
    }
    Picture::from_rgb(width, height, rgb).unwrap()
}

/// Returns the picture with a border of these widths in pixels and this grey.
fn bordered(picture: &Picture, [left, top, right, bottom]: [usize; 4], grey: u8) -> Picture {
    let (width, height) = (picture.width() as usize + left + right, picture.height() as usize + top + bottom);
    let mut rgb = vec![grey; width * height * 3];
    for (y, row) in picture.rgb().chunks_exact(picture.width() as usize * 3).enumerate() {
        rgb[((y + top) * width + left) * 3..][..row.len()].copy_from_slice(row);
    }
    Picture::from_rgb(u32::try_from(width).unwrap(), u32::try_from(height).unwrap(), rgb).unwrap()
}

fn hashed(picture: Picture) -> FrameFingerprint {
    hash(0, Frame::still(picture), Ways::default(), &mut |_| ()).unwrap().1
}

fn way(fingerprint: &FrameFingerprint, wanted: Way) -> Option<PictureHashes> {
    fingerprint.ways().find(|(way, _)| *way == wanted).map(|(_, hashes)| *hashes)
}

fn distance(one: &PictureHashes, other: &PictureHashes) -> u32 {
    one.pdq[0].iter().zip(&other.pdq[0]).map(|(a, b)| (a ^ b).count_ones()).sum()
}

#[test]
fn a_thumbnail_is_near_its_original_once_it_is_scaled_up() {
    let original = hashed(draw(1_600, 1_200));
    assert_eq!(original.further, [], "a large picture without borders has one hash");
    for side in [100, 129, 160, 192, 200, 256, 300, 400] {
        let thumbnail = hashed(draw(side, side));
        let scaled = way(&thumbnail, Way::Scaled).unwrap();
        assert!(distance(&scaled, &original.plain) <= 10, "{side}: {}", distance(&scaled, &original.plain));
    }
}

#[test]
fn borders_are_taken_away_and_what_is_within_is_hashed() {
    let original = hashed(draw(900, 700));
    for (border, grey) in
        [([0, 40, 0, 40], 0), ([30, 0, 55, 0], 255), ([20, 30, 40, 50], 128), ([0, 0, 0, 300], 7)]
    {
        let copy = hashed(bordered(&draw(900, 700), border, grey));
        assert!(distance(&copy.plain, &original.plain) > 10, "{border:?} moves the plain hash");
        assert_eq!(way(&copy, Way::Unbordered), Some(original.plain), "{border:?}");
    }
}

#[test]
fn what_is_nothing_but_border_has_no_further_hash() {
    let flat = Picture::from_rgb(700, 700, vec![9; 700 * 700 * 3]).unwrap();
    assert_eq!(way(&hashed(flat), Way::Unbordered), None);
    let speck = bordered(&draw(100, 100), [400; 4], 0);
    assert_eq!(way(&hashed(speck), Way::Unbordered), None, "a tenth of a side is no picture with a border");
}

#[test]
fn a_turned_file_is_hashed_upright_and_as_stored() {
    let stored = draw(700, 900);
    let as_is = hashed(draw(700, 900));
    let upright = Orientation::from_tag(6).turn(&stored).unwrap();
    let upright = hashed(upright);
    let frame = Frame { orientation: Orientation::from_tag(6), ..Frame::still(stored) };
    let (size, fingerprint) = hash(0, frame, Ways::default(), &mut |_| ()).unwrap();
    assert_eq!(size, (900, 700));
    assert_eq!(fingerprint.plain, upright.plain);
    assert_eq!(fingerprint.further, [(Way::AsStored, as_is.plain)]);
}

#[test]
fn ways_that_are_switched_off_are_not_taken() {
    let frame = Frame::still(bordered(&draw(300, 300), [30; 4], 0));
    let (_, fingerprint) = hash(0, frame, Ways::NONE, &mut |_| ()).unwrap();
    assert_eq!(fingerprint.further, []);
}

#[test]
fn a_uniform_edge_of_the_picture_within_a_border_stays() {
    // A light sky of uniform brightness above the picture, as wide as the picture.
    let mut rgb = vec![230; 900 * 80 * 3];
    rgb.extend(draw(900, 620).rgb());
    let picture = || Picture::from_rgb(900, 700, rgb.clone()).unwrap();
    let plain = hashed(picture()).plain;
    let copy = hashed(bordered(&picture(), [0, 60, 0, 60], 0));
    assert_eq!(way(&copy, Way::Unbordered), Some(plain));
}

#[test]
fn a_border_of_few_lines_that_ring_ends_where_the_picture_begins() {
    let picture = draw(700, 700);
    let mut copy = bordered(&picture, [0, 5, 0, 0], 20).rgb().to_vec();
    // Each line of the bar varies a little, more so nearer to the picture.
    for (row, wave) in copy.chunks_exact_mut(700 * 3).zip([8, 11, 14, 17, 20]) {
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = [20 + if x % 7 < 2 { wave } else { 0 }; 3];
        }
    }
    let copy = Picture::from_rgb(700, 705, copy).unwrap();
    assert_eq!(way(&hashed(copy), Way::Unbordered), Some(hashed(picture).plain));
}
