use md5::{Digest, Md5};

use super::*;

/// What a decoder hands on of one frame.
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

/// The frames of a file, and how many are left out.
fn frames_of(content: &[u8], limits: &Limits) -> Result<(Vec<Decoded>, u32), DecodeError> {
    let mut decoded = Vec::new();
    let mut visit = |number, frame: Frame| {
        let Samples::Rgb(picture) = frame.samples else { return Taken::NeedsRgb };
        let indices = frame.indices.map(|luma| md5(crate::luma::LumaSource::samples(&luma)));
        let size = (picture.width(), picture.height());
        decoded.push(Decoded { number, time: frame.time, rgb: md5(picture.rgb()), indices, size });
        Taken::Hashed
    };
    let mut frames = Frames::new(limits, &mut visit);
    decode_frames(content, limits, &mut frames)?;
    let left_out = frames.left_out();
    Ok((decoded, left_out))
}

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/frames")
}

#[test]
fn every_frame_has_the_pixels_and_the_time_that_pillow_gives_it() {
    let expected = std::fs::read_to_string(folder().join("expected.csv")).unwrap();
    let mut rows: std::collections::BTreeMap<&str, Vec<[&str; 4]>> = std::collections::BTreeMap::new();
    for row in expected.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let [file, rest @ ..] = fields.as_slice() else { panic!("{row}") };
        rows.entry(file).or_default().push(rest.try_into().unwrap());
    }
    assert!(rows.len() >= 25, "{} files", rows.len());
    for (file, rows) in rows {
        let content = std::fs::read(folder().join(file)).unwrap();
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

/// A decoder's panic on a later frame costs that frame and those after it, and is kept as a fault; that on the first is an error.
#[test]
fn a_panic_in_a_later_frame_keeps_the_frames_before_it() {
    const COUNT: u32 = 5;
    let content = std::fs::read(folder().join("disposal-1.gif")).unwrap();
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
    let folders = [folder(), folder().join(".."), folder().join("../jpeg")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let (mut several, mut one) = (0, 0);
    for path in files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let content = std::fs::read(&path).unwrap();
        let Ok((frames, left_out)) = frames_of(&content, &Limits::default()) else { continue };
        let may_have = may_have_several_frames(&content);
        let has = frames.len() > 1 || left_out > 0;
        assert!(may_have || !has, "{}", path.display());
        let format = Format::of(&content).unwrap();
        // Of these formats every file may have further frames.
        assert!(has || !may_have || matches!(format, Format::Gif | Format::Tiff), "{}", path.display());
        several += u32::from(has);
        one += u32::from(!may_have);
    }
    assert!(several > 20 && one > 40, "{several} of several frames, {one} of one");
    assert!(!may_have_several_frames(b"no picture with fcTL and MPF"));
}

/// The frames that are decoded and the number of those left out, of a file whose frames after `sound` are damaged.
fn check_damaged(file: &str, sound: usize, limits: &Limits) -> (Vec<u32>, u32) {
    let mut content = std::fs::read(folder().join(file)).unwrap();
    let starts: Vec<usize> = if content.starts_with(b"GIF") {
        // A graphic control extension comes before each image: after it 8 bytes, the descriptor, and the bits of a code.
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
    let content = std::fs::read(folder().join("beyond-the-screen-later.gif")).unwrap();
    let (frames, _) = frames_of(&content, &Limits::default()).unwrap();
    assert_eq!(frames.iter().map(|frame| frame.size).collect::<Vec<_>>(), [(24, 18), (35, 29), (35, 29)]);
    let limits = Limits { side_px_max: 30, ..Limits::default() };
    let (frames, left_out) = frames_of(&content, &limits).unwrap();
    assert_eq!((frames.len(), left_out), (1, 2));
}
