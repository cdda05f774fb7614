use md5::{Digest, Md5};

use super::*;

/// A frame as the decoder passes it on.
struct Decoded {
    number: u32,
    time: Option<std::time::Duration>,
    rgb: String,
    indices: Option<String>,
    size: (u32, u32),
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a file of the test data.
pub(super) fn file(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)).unwrap()
}

/// The decoder of one format.
type Decode = fn(&[u8], &Limits, &mut Frames<'_>) -> Result<(), DecodeError>;

/// Returns the frames that a decoder passes on, how many are left out, and the fault.
fn decoded_by(decode: Decode, content: &[u8], limits: &Limits) -> (Vec<Decoded>, u32, Option<DecodeError>) {
    let mut decoded = Vec::new();
    let mut visit = |number, frame: Frame| {
        let Samples::Rgb(picture) = frame.samples else { return Taken::NeedsRgb };
        let indices = frame.indices.map(|luma| md5(crate::luma::LumaSource::samples(&luma)));
        let size = (picture.width(), picture.height());
        decoded.push(Decoded { number, time: frame.time, rgb: md5(picture.rgb()), indices, size });
        Taken::Hashed
    };
    let mut frames = Frames::new(limits, &mut visit);
    let fault = decode(content, limits, &mut frames).err();
    let left_out = frames.left_out();
    (decoded, left_out, fault)
}

/// The frames' times in milliseconds with digests of their RGB, how many were left out, and the fault. A
/// still picture has the largest time.
pub(super) type Seen = (Vec<(u128, String)>, u32, Option<DecodeError>);

/// Returns the frames that the decoder of one format passes on.
pub(super) fn seen_by(decode: Decode, content: &[u8], limits: &Limits) -> Seen {
    let (frames, left_out, fault) = decoded_by(decode, content, limits);
    let time = |frame: &Decoded| frame.time.unwrap_or(std::time::Duration::MAX).as_millis();
    (frames.into_iter().map(|frame| (time(&frame), frame.rgb)).collect(), left_out, fault)
}

/// Returns the frames of a file, and how many are left out.
fn frames_of(content: &[u8], limits: &Limits) -> Result<(Vec<Decoded>, u32), DecodeError> {
    let (decoded, left_out, fault) = decoded_by(decode_frames, content, limits);
    fault.map_or(Ok((decoded, left_out)), Err)
}

#[test]
fn every_frame_has_the_pixels_and_the_time_that_pillow_gives_it() {
    let expected = String::from_utf8(file("frames/expected.csv")).unwrap();
    let mut rows: std::collections::BTreeMap<&str, Vec<[&str; 4]>> = std::collections::BTreeMap::new();
    for row in expected.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let [file, rest @ ..] = fields.as_slice() else { panic!("{row}") };
        rows.entry(file).or_default().push(rest.try_into().unwrap());
    }
    assert!(rows.len() >= 25, "{} files", rows.len());
    for (file, rows) in rows {
        let content = self::file(&format!("frames/{file}"));
        let (frames, left_out) = frames_of(&content, &Limits::default()).unwrap();
        assert_eq!((frames.len(), left_out), (rows.len(), 0), "{file}");
        for (frame, [number, time, rgb, indices]) in frames.iter().zip(rows) {
            assert_eq!(frame.number.to_string(), number, "{file}");
            let at = format!("{file}, frame {number}");
            assert_eq!(frame.time.map_or(String::new(), |time| time.as_millis().to_string()), time, "{at}");
            assert_eq!(frame.rgb, rgb, "{at}");
            assert_eq!(frame.indices.as_deref().unwrap_or_default(), indices, "{at}");
        }
    }
}

/// A decoder's panic on a later frame loses that frame and those after it, and is recorded as a fault. A
/// panic on the first frame is an error.
#[test]
fn a_panic_in_a_later_frame_keeps_the_frames_before_it() {
    const COUNT: u32 = 5;
    let content = file("frames/disposal-1.gif");
    let limits = Limits::default();
    let of_panic_at = |panics_at: u32| {
        let mut visited = 0;
        let mut visit = |_, _: Frame| {
            assert!(visited != panics_at, "on purpose");
            visited += 1;
            Taken::Hashed
        };
        let mut frames = Frames::new(&limits, &mut visit);
        let decoded = decode_frames(&content, &limits, &mut frames);
        (decoded, frames.taken(), frames.left_out() > 0, frames.fault())
    };
    assert_eq!(of_panic_at(u32::MAX), (Ok(()), COUNT, false, None));
    let panicked = Some(vigie_model::DecodeFailureKind::Panicked);
    assert_eq!(of_panic_at(1), (Ok(()), 1, true, panicked));
    assert_eq!(of_panic_at(COUNT - 1), (Ok(()), COUNT - 1, true, panicked));
    let first = Err(DecodeError::DecoderPanicked { format: gif::FORMAT });
    assert_eq!(of_panic_at(0), (first, 0, false, None));
}

#[test]
fn files_of_several_frames_are_known_without_decoding_them() {
    let testdata = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let folders = ["frames", "", "jpeg"].map(|folder| testdata.join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let (mut several, mut one) = (0, 0);
    for path in files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let content = std::fs::read(&path).unwrap();
        let Ok((frames, left_out)) = frames_of(&content, &Limits::default()) else { continue };
        let may_have = may_have_several_frames(&content);
        let has = frames.len() > 1 || left_out > 0;
        assert!(may_have || !has, "{}", path.display());
        let format = Format::of(&content).unwrap();
        // Every file of these formats may have further frames.
        assert!(has || !may_have || matches!(format, Format::Gif | Format::Tiff), "{}", path.display());
        several += u32::from(has);
        one += u32::from(!may_have);
    }
    assert!(several > 20 && one > 40, "{several} of several frames, {one} of one");
    assert!(!may_have_several_frames(b"no picture with fcTL and MPF"));
}

/// Returns the decoded frames of a file whose frames after `sound` are damaged, and the number of those left
/// out.
fn check_damaged(file: &str, sound: usize, limits: &Limits) -> (Vec<u32>, u32) {
    let mut content = self::file(&format!("frames/{file}"));
    let starts: Vec<usize> = if content.starts_with(b"GIF") {
        // A graphic control extension comes before each image: after it 8 bytes, the descriptor, and the bits
        // of a code.
        let starts = content.windows(3).enumerate().filter(|(_, bytes)| bytes == b"!\xf9\x04");
        starts.map(|(at, _)| at + 18).collect()
    } else {
        let starts = content.windows(4).enumerate().filter(|(_, bytes)| bytes == b"fcTL");
        // The control chunk's data and checksum, the head of the data chunk, the sequence number.
        starts.map(|(at, _)| at + 4 + 26 + 4 + 8 + 4).collect()
    };
    for start in &starts[sound..] {
        content[*start] = 0xff;
    }
    let (frames, left_out) = frames_of(&content, limits).unwrap();
    (frames.iter().map(|frame| frame.number).collect(), left_out)
}

#[test]
fn a_damaged_frame_and_those_after_it_are_left_out() {
    let limits = Limits::default();
    for file in ["disposal-1.gif", "rgba.png"] {
        assert_eq!(check_damaged(file, 5, &limits), (vec![0, 1, 2, 3, 4], 0), "{file}");
        assert_eq!(check_damaged(file, 3, &limits), (vec![0, 1, 2], 2), "{file}");
        assert_eq!(check_damaged(file, 1, &limits), (vec![0], 4), "{file}");
    }
}

/// Returns the digest of the first frame of a file, the number of the others, and of those left out.
fn first_and_others(content: &[u8]) -> (String, usize, u32) {
    let (mut frames, left_out) = frames_of(content, &Limits::default()).unwrap();
    (frames.remove(0).rgb, frames.len(), left_out)
}

#[test]
fn frames_that_a_png_announces_and_does_not_show_are_left_out() {
    let content = file("frames/rgba.png");
    let (first, ..) = first_and_others(&content);
    let at = content.windows(4).position(|bytes| bytes == b"acTL").unwrap() - 4;
    // The chunk has its length, kind, two numbers, and a checksum.
    let announcement = &content[at..at + 20];
    let announced = |more: &[&[u8]]| {
        let content = [&content[..at + 20], &more.concat(), &content[at + 20..]].concat();
        let (seen, others, left_out) = first_and_others(&content);
        assert_eq!(seen, first);
        (others, left_out)
    };
    // As in Pillow, the second cancels the first, and the third counts again, unless it announces nothing.
    assert_eq!(announced(&[]), (4, 0));
    assert_eq!(announced(&[announcement]), (0, 4));
    assert_eq!(announced(&[announcement; 2]), (4, 0));
    let of_none = [&announcement[..8], &[0; 12]].concat();
    assert_eq!(announced(&[&of_none]), (0, 4));
    assert_eq!(announced(&[announcement, &of_none]), (0, 4));
    // Announces more frames than there are.
    let mut content = content.clone();
    content[at + 11] += 2;
    assert_eq!(first_and_others(&content), (first, 4, 1));
}

#[test]
fn pictures_that_a_jpeg_announces_in_a_damaged_index_are_left_out() {
    let content = file("jpeg/two-pictures-little-endian.jpg");
    let (first, others, left_out) = first_and_others(&content);
    assert_eq!((others, left_out), (1, 0));
    let index = content.windows(4).position(|bytes| bytes == b"MPF\0").unwrap() + 4;
    // The directory is beyond the file.
    let mut damaged = content;
    damaged[index + 7] = 0xff;
    assert_eq!(first_and_others(&damaged), (first, 0, 1));
}

#[test]
fn frames_beyond_a_limit_are_counted_and_not_decoded() {
    for file in ["disposal-1.gif", "rgba.png"] {
        let few = Limits { frames_max: 2, ..Limits::default() };
        assert_eq!(check_damaged(file, 2, &few), (vec![0, 1], 3), "{file}");
        // 24 x 18 pixels each.
        let small = Limits { frames_pixels_max: 3 * 24 * 18, ..Limits::default() };
        assert_eq!(check_damaged(file, 3, &small), (vec![0, 1, 2], 2), "{file}");
        // Enough for the first frame alone.
        let narrow = Limits { alloc_bytes_max: 24 * 18 * 8, ..Limits::default() };
        assert_eq!(check_damaged(file, 1, &narrow), (vec![0], 4), "{file}");
    }
}

#[test]
fn a_later_image_enlarges_the_canvas_within_the_limits_only() {
    let content = file("frames/beyond-the-screen-later.gif");
    let (frames, _) = frames_of(&content, &Limits::default()).unwrap();
    assert_eq!(frames.iter().map(|frame| frame.size).collect::<Vec<_>>(), [(24, 18), (35, 29), (35, 29)]);
    let limits = Limits { side_px_max: 30, ..Limits::default() };
    let (frames, left_out) = frames_of(&content, &limits).unwrap();
    assert_eq!((frames.len(), left_out), (1, 2));
}
