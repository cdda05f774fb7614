//! Decodes files of a few pixels that the tests write tag by tag.

use super::*;
use crate::frames::Taken;
use crate::luma::LumaSource as _;

/// The number of a tag, its type (3: 16 bits, 4: 32 bits) and its values.
type Tag = (u16, u16, Vec<u32>);

/// The byte order of numbers.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Little,
    Big,
}

struct Writer {
    order: Order,
    big: bool,
    out: Vec<u8>,
}

impl Writer {
    fn new(order: Order, big: bool) -> Self {
        let mut writer = Self { order, big, out: Vec::new() };
        writer.out.extend(if order == Order::Little { b"II" } else { b"MM" });
        writer.number(if big { 43 } else { 42 }, 2);
        if big {
            writer.number(8, 2);
            writer.number(0, 2);
        }
        let offset_bytes = writer.offset_bytes();
        writer.number(0, offset_bytes);
        writer
    }

    const fn offset_bytes(&self) -> usize {
        if self.big { 8 } else { 4 }
    }

    fn number(&mut self, number: usize, bytes: usize) {
        let number = number as u64;
        match self.order {
            Order::Little => self.out.extend(&number.to_le_bytes()[..bytes]),
            Order::Big => self.out.extend(&number.to_be_bytes()[8 - bytes..]),
        }
    }

    /// Overwrites an earlier number.
    fn set(&mut self, at: usize, number: usize) {
        let end = self.out.len();
        let bytes = self.offset_bytes();
        self.number(number, bytes);
        self.out.copy_within(end.., at);
        self.out.truncate(end);
    }

    /// Writes a page of these strips, links it at `link`, and returns the position of the link to the next
    /// page.
    fn page(&mut self, link: usize, tags: &[Tag], strips: &[&[u8]]) -> usize {
        let mut offsets = Vec::new();
        for strip in strips {
            offsets.push(u32::try_from(self.out.len()).unwrap());
            self.out.extend(*strip);
        }
        let lengths = strips.iter().map(|strip| u32::try_from(strip.len()).unwrap()).collect();
        let mut tags = tags.to_vec();
        let tiled = tags.iter().any(|(tag, ..)| *tag == 322);
        tags.push((if tiled { 324 } else { 273 }, 4, offsets));
        tags.push((if tiled { 325 } else { 279 }, 4, lengths));
        tags.sort_by_key(|(tag, ..)| *tag);
        // Later tags replace earlier ones of the same number.
        tags.reverse();
        tags.dedup_by_key(|(tag, ..)| *tag);
        tags.reverse();
        let bytes = self.offset_bytes();
        let placed: Vec<_> = tags
            .iter()
            .map(|(_, kind, values)| {
                let size = if *kind == 3 { 2 } else { 4 };
                let at = self.out.len();
                values.iter().for_each(|&value| self.number(value as usize, size));
                (values.len() * size <= bytes).then(|| self.out.split_off(at)).ok_or(at)
            })
            .collect();
        let directory = self.out.len();
        self.set(link, directory);
        self.number(tags.len(), if self.big { 8 } else { 2 });
        for ((tag, kind, values), placed) in tags.iter().zip(placed) {
            self.number((*tag).into(), 2);
            self.number((*kind).into(), 2);
            self.number(values.len(), bytes);
            match placed {
                Ok(mut value) => {
                    value.resize(bytes, 0);
                    self.out.extend(value);
                }
                Err(at) => self.number(at, bytes),
            }
        }
        let link = self.out.len();
        self.number(0, bytes);
        link
    }
}

/// Returns the tags of a picture of one kind of sample. The length of `bits` is the number of samples.
fn tags(width: u32, height: u32, photometric: u32, bits: &[u32]) -> Vec<Tag> {
    vec![
        (256, 3, vec![width]),
        (257, 3, vec![height]),
        (258, 3, bits.to_vec()),
        (259, 3, vec![1]),
        (262, 3, vec![photometric]),
        (277, 3, vec![u32::try_from(bits.len()).unwrap()]),
        (278, 3, vec![height]),
    ]
}

/// Returns the tags with others replaced or added.
fn with(mut tags: Vec<Tag>, more: &[(u16, &[u32])]) -> Vec<Tag> {
    for (tag, values) in more {
        tags.retain(|(old, ..)| old != tag);
        tags.push((*tag, 3, values.to_vec()));
    }
    tags
}

fn file(order: Order, tags: &[Tag], strips: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::new(order, false);
    writer.page(4, tags, strips);
    writer.out
}

/// A decoded frame.
struct Decoded {
    rgb: Vec<[u8; 3]>,
    indices: Option<Vec<u8>>,
    orientation: Orientation,
}

/// Returns the decoded frames with their numbers, and how many are left out.
fn decode_all(content: &[u8], limits: &Limits) -> Result<(Vec<(u32, Decoded)>, u32), DecodeError> {
    let mut decoded = Vec::new();
    let mut visit = |number, frame: Frame| {
        let Samples::Rgb(picture) = frame.samples else { return Taken::NeedsRgb };
        let rgb = picture.rgb().as_chunks().0.to_vec();
        let indices = frame.indices.map(|plane| plane.samples().to_vec());
        decoded.push((number, Decoded { rgb, indices, orientation: frame.orientation }));
        Taken::Hashed
    };
    let mut frames = Frames::new(limits, &mut visit);
    decode(content, limits, &mut frames)?;
    let left_out = frames.left_out();
    Ok((decoded, left_out))
}

/// Returns the first frame.
fn first(content: &[u8]) -> Result<Decoded, DecodeError> {
    decode_all(content, &Limits::default()).map(|(frames, _)| frames.into_iter().next().unwrap().1)
}

/// Checks the pixels of a picture of one row, or of as many as `strips` holds.
fn check(tags: &[Tag], strips: &[&[u8]], rgb: &[[u8; 3]]) {
    assert_eq!(first(&file(Order::Little, tags, strips)).unwrap().rgb, rgb);
}

fn greys(samples: &[u8]) -> Vec<[u8; 3]> {
    samples.iter().map(|&sample| [sample; 3]).collect()
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 100);
    let mut compressor = flate2::Compress::new(flate2::Compression::fast(), true);
    compressor.compress_vec(data, &mut out, flate2::FlushCompress::Finish).unwrap();
    out
}

#[test]
fn grey_of_few_bits_is_scaled_and_white_may_be_zero() {
    for (bits, row, samples) in [
        (1, &[0b0110_0000][..], [0, 255, 255, 0]),
        (2, &[0b00_01_10_11], [0, 85, 170, 255]),
        (4, &[0x01, 0x8f], [0, 17, 136, 255]),
        (8, &[0, 1, 128, 255], [0, 1, 128, 255]),
    ] {
        check(&tags(4, 1, 1, &[bits]), &[row], &greys(&samples));
        check(&tags(4, 1, 0, &[bits]), &[row], &greys(&samples.map(|sample| 255 - sample)));
    }
}

#[test]
fn wide_samples_keep_their_upper_bits_in_either_byte_order() {
    for (order, row) in [(Order::Little, [0xff, 0x12, 0x00, 0xfe]), (Order::Big, [0x12, 0xff, 0xfe, 0x00])] {
        let content = file(order, &tags(2, 1, 1, &[16]), &[&row]);
        assert_eq!(first(&content).unwrap().rgb, greys(&[0x12, 0xfe]));
    }
    check(&tags(1, 1, 2, &[16, 16, 16]), &[&[0, 1, 0, 2, 0, 3]], &[[1, 2, 3]]);
    check(&tags(3, 1, 1, &[12]), &[&[0x12, 0x34, 0x56, 0x78, 0x90]], &greys(&[0x12, 0x45, 0x78]));
}

#[test]
fn numbers_that_are_no_samples_are_clipped() {
    let row: Vec<u8> = [-5.0_f32, 0.9, 254.9, 1e9].iter().flat_map(|number| number.to_le_bytes()).collect();
    check(&with(tags(4, 1, 1, &[32]), &[(339, &[3])]), &[&row], &greys(&[0, 0, 254, 255]));
    let row: Vec<u8> = [-5_i16, 77, 300].iter().flat_map(|number| number.to_be_bytes()).collect();
    let content = file(Order::Big, &with(tags(3, 1, 1, &[16]), &[(339, &[2])]), &[&row]);
    assert_eq!(first(&content).unwrap().rgb, greys(&[0, 77, 255]));
}

#[test]
fn palettes_give_colours_and_indices() {
    // Red of four colours, then green, then blue, of 16 bits.
    let map = [0, 0xff00, 0x0100, 0x0200, 0, 0x80ff, 0, 0x0200, 0, 0x0100, 0, 0x0200];
    let content = file(Order::Little, &with(tags(4, 1, 3, &[2]), &[(320, &map)]), &[&[0b01_00_11_10]]);
    let decoded = first(&content).unwrap();
    assert_eq!(decoded.rgb, [[255, 128, 1], [0; 3], [2; 3], [1, 0, 0]]);
    assert_eq!(decoded.indices.unwrap(), [1, 0, 3, 2]);
    assert!(first(&file(Order::Little, &tags(4, 1, 3, &[2]), &[&[0]])).is_err(), "no palette");
}

#[test]
fn reversed_bits_are_turned_back() {
    check(
        &with(tags(8, 1, 1, &[1]), &[(266, &[2])]),
        &[&[0b0000_0011]],
        &greys(&[255, 255, 0, 0, 0, 0, 0, 0]),
    );
    let packed: Vec<u8> = deflated(&[1, 2, 3]).iter().map(|byte| byte.reverse_bits()).collect();
    check(&with(tags(3, 1, 1, &[8]), &[(266, &[2]), (259, &[8])]), &[&packed], &greys(&[1, 2, 3]));
}

#[test]
fn only_an_associated_alpha_divides_colours() {
    let row = [50, 100, 25, 100, 7, 8, 9, 0];
    for (kind, rgb) in
        [(0, [[50, 100, 25], [7, 8, 9]]), (1, [[127, 255, 63], [0; 3]]), (2, [[50, 100, 25], [7, 8, 9]])]
    {
        check(&with(tags(2, 1, 2, &[8; 4]), &[(338, &[kind])]), &[&row], &rgb);
    }
}

#[test]
fn differences_are_those_of_the_same_sample() {
    // Four samples a pixel: a decoder must not add up only three.
    let row = deflated(&[1, 2, 3, 4, 10, 10, 10, 10, 0, 1, 255, 7]);
    let tags = with(tags(3, 1, 2, &[8; 4]), &[(259, &[8]), (317, &[2]), (338, &[0])]);
    check(&tags, &[&row], &[[1, 2, 3], [11, 12, 13], [11, 13, 12]]);
}

#[test]
fn floats_are_put_together_from_planes_of_bytes() {
    // 2.0 and 3.0: 40 00 00 00 and 40 40 00 00.
    let row = deflated(&[0x40, 0, 0xc0, 0x40, 0xc0, 0, 0, 0]);
    let tags = with(tags(2, 1, 1, &[32]), &[(259, &[8]), (317, &[3]), (339, &[3])]);
    for order in [Order::Little, Order::Big] {
        assert_eq!(first(&file(order, &tags, &[&row])).unwrap().rgb, greys(&[2, 3]));
    }
}

#[test]
fn inks_luma_and_lab_become_rgb() {
    check(&tags(2, 1, 5, &[8; 4]), &[&[0, 0, 0, 0, 255, 0, 0, 0]], &[[255; 3], [0, 255, 255]]);
    check(&with(tags(1, 1, 6, &[8; 3]), &[(530, &[1, 1])]), &[&[76, 85, 255]], &[[254, 0, 0]]);
    check(&tags(2, 1, 8, &[8; 3]), &[&[0, 0, 0, 255, 0, 0]], &[[0; 3], [255; 3]]);
}

#[test]
fn shared_chroma_is_read_from_units() {
    // Two units of 2 x 2 pixels, the second one half beyond the picture.
    let row = [10, 20, 30, 40, 128, 128, 50, 60, 70, 80, 128, 128];
    let tags = tags(3, 2, 6, &[8; 3]);
    let expected = greys(&[10, 20, 50, 30, 40, 70]);
    check(&with(tags.clone(), &[(530, &[2, 2])]), &[&row], &expected);
    // The same without the tag, because the bytes are too few for whole samples.
    check(&tags, &[&row], &expected);
}

#[test]
fn planes_tiles_and_strips_are_put_together() {
    let tags = tags(3, 2, 2, &[8; 3]);
    let rgb = [[1, 11, 21], [2, 12, 22], [3, 13, 23], [4, 14, 24], [5, 15, 25], [6, 16, 26]];
    let planes: [&[u8]; 6] =
        [&[1, 2, 3], &[4, 5, 6], &[11, 12, 13], &[14, 15, 16], &[21, 22, 23], &[24, 25, 26]];
    check(&with(tags.clone(), &[(284, &[2]), (278, &[1])]), &planes, &rgb);
    let tiles: [&[u8]; 2] = [
        &[1, 11, 21, 2, 12, 22, 4, 14, 24, 5, 15, 25, 9, 9, 9, 9, 9, 9],
        &[3, 13, 23, 9, 9, 9, 6, 16, 26, 9, 9, 9, 9, 9, 9, 9, 9, 9],
    ];
    check(&with(tags, &[(322, &[2]), (323, &[3])]), &tiles, &rgb);
}

#[test]
fn big_tiff_is_read_in_either_byte_order() {
    for order in [Order::Little, Order::Big] {
        let mut writer = Writer::new(order, true);
        writer.page(8, &tags(2, 2, 1, &[8]), &[&[1, 2, 3, 4]]);
        assert_eq!(first(&writer.out).unwrap().rgb, greys(&[1, 2, 3, 4]));
    }
}

#[test]
fn samples_stay_as_stored_and_the_orientation_is_handed_on() {
    let content = file(Order::Little, &with(tags(2, 1, 1, &[8]), &[(274, &[3])]), &[&[1, 2]]);
    let decoded = first(&content).unwrap();
    assert_eq!(decoded.rgb, greys(&[1, 2]));
    assert!(decoded.orientation == Orientation::from_tag(3));
}

/// Returns a file of grey pages of one pixel, with these samples.
fn pages(samples: &[u8]) -> (Writer, usize) {
    let mut writer = Writer::new(Order::Little, false);
    let link = samples.iter().fold(4, |link, &sample| writer.page(link, &tags(1, 1, 1, &[8]), &[&[sample]]));
    (writer, link)
}

#[test]
fn each_page_of_the_chain_is_a_frame() {
    let (writer, _) = pages(&[7, 8, 9]);
    let (frames, left_out) = decode_all(&writer.out, &Limits::default()).unwrap();
    let samples: Vec<_> = frames.iter().map(|(number, frame)| (*number, frame.rgb[0][0])).collect();
    assert_eq!((samples, left_out), (vec![(0, 7), (1, 8), (2, 9)], 0));
    let limits = Limits { frames_max: 2, ..Limits::default() };
    let (frames, left_out) = decode_all(&writer.out, &limits).unwrap();
    assert_eq!((frames.len(), left_out), (2, 1));
}

#[test]
fn a_chain_that_returns_to_a_page_ends_there() {
    let (mut writer, link) = pages(&[7, 8]);
    let first = u32::from_le_bytes([writer.out[4], writer.out[5], writer.out[6], writer.out[7]]);
    writer.set(link, first as usize);
    let (frames, left_out) = decode_all(&writer.out, &Limits::default()).unwrap();
    assert_eq!((frames.len(), left_out), (2, 0));
}

#[test]
fn a_page_that_cannot_be_decoded_is_left_out_and_the_next_one_is_not() {
    let mut writer = Writer::new(Order::Little, false);
    let page = tags(1, 1, 1, &[8]);
    let link = writer.page(4, &page, &[&[7]]);
    let link = writer.page(link, &with(page.clone(), &[(259, &[99])]), &[&[8]]);
    writer.page(link, &page, &[&[9]]);
    let (frames, left_out) = decode_all(&writer.out, &Limits::default()).unwrap();
    let samples: Vec<_> = frames.iter().map(|(number, frame)| (*number, frame.rgb[0][0])).collect();
    assert_eq!((samples, left_out), (vec![(0, 7), (2, 9)], 1));
}

#[test]
fn a_chain_is_followed_to_a_limit() {
    let (writer, _) = pages(&vec![5; DIRECTORIES_MAX + 20]);
    let limits = Limits { frames_max: 2, ..Limits::default() };
    let (frames, left_out) = decode_all(&writer.out, &limits).unwrap();
    assert_eq!((frames.len(), left_out as usize), (2, DIRECTORIES_MAX - 2 + 1));
}

#[test]
fn a_cut_link_to_the_next_page_leaves_one_out() {
    let (writer, link) = pages(&[7]);
    let (frames, left_out) = decode_all(&writer.out[..link + 3], &Limits::default()).unwrap();
    assert_eq!((frames.len(), left_out), (1, 1));
}

#[test]
fn memory_is_checked_by_what_is_declared() {
    let limits = Limits { alloc_bytes_max: 100_000, ..Limits::default() };
    let refused = |tags: Vec<Tag>| {
        let content = file(Order::Little, &tags, &[&[0; 16]]);
        matches!(decode_all(&content, &limits), Err(DecodeError::AllocTooLarge { .. }))
    };
    assert!(refused(tags(200, 200, 1, &[8])), "the picture");
    assert!(refused(with(tags(120, 120, 5, &[8; 6]), &[(259, &[5]), (338, &[0, 0])])), "a strip of it");
    let tile = with(tags(10, 10, 1, &[8]), &[(259, &[5]), (322, &[400]), (323, &[400])]);
    assert!(refused(tile), "a tile of it");
}

#[test]
fn tiles_that_are_mostly_beyond_the_picture_are_refused() {
    let tiled = |side| with(tags(10, 10, 1, &[8]), &[(259, &[8]), (322, &[side]), (323, &[side])]);
    let decoded = |side: u32| {
        let tile = deflated(&vec![3; (side * side) as usize]);
        first(&file(Order::Little, &tiled(side), &[&tile]))
    };
    assert!(decoded(512).is_ok());
    assert!(matches!(decoded(3_000), Err(DecodeError::AllocTooLarge { .. })));
}

#[test]
fn strips_that_name_the_same_bytes_read_no_more_than_a_file_could_hold() {
    // No-operations of PackBits before the run that fills a strip of one pixel.
    let rows = 40;
    let decoded = |idle: usize| {
        let strip = [vec![0x80; idle], vec![0, 77]].concat();
        let mut tags = with(tags(1, rows, 1, &[8]), &[(259, &[32773]), (278, &[1])]);
        tags.push((324, 4, vec![8; rows as usize]));
        tags.push((325, 4, vec![u32::try_from(strip.len()).unwrap(); rows as usize]));
        let mut content = file(Order::Little, &tags, &[&strip]);
        // The tags of uncompressed tiles are turned into the tags of strips.
        for (from, to) in [(273_u16, 1_u16), (279, 2), (324, 273), (325, 279)] {
            let entry = content.windows(2).rposition(|bytes| bytes == from.to_le_bytes()).unwrap();
            content[entry..][..2].copy_from_slice(&to.to_le_bytes());
        }
        first(&content)
    };
    assert_eq!(decoded(900).unwrap().rgb, greys(&[77; 40]));
    assert_eq!(decoded(5_000).err(), Some(corrupt("strips or tiles overlap")));
}

#[test]
fn a_file_has_so_many_strips_in_all() {
    // PackBits, where one strip costs little; each page has as many strips as the side of a picture allows.
    let rows = 16_384;
    let page = with(tags(1, rows, 1, &[1]), &[(259, &[32773]), (278, &[1])]);
    let mut writer = Writer::new(Order::Little, false);
    let strips = vec![&[0_u8, 0x80][..]; rows as usize];
    let pages = CHUNKS_MAX / rows as usize + 1;
    (0..pages).fold(4, |link, _| writer.page(link, &page, &strips));
    let (frames, left_out) = decode_all(&writer.out, &Limits::default()).unwrap();
    assert_eq!((frames.len(), left_out), (pages - 1, 1));
}

#[test]
fn what_a_page_lacks_is_named() {
    let whole = tags(2, 2, 1, &[8]);
    for (tags, kind) in [
        (with(whole.clone(), &[(278, &[1])]), "corrupt"),
        (with(whole.clone(), &[(278, &[0])]), "corrupt"),
        (with(whole.clone(), &[(277, &[7])]), "unsupported"),
        (with(whole.clone(), &[(259, &[34712])]), "unsupported"),
        (with(whole.clone(), &[(262, &[2])]), "corrupt"),
        (with(whole.clone(), &[(258, &[24])]), "unsupported"),
        (with(whole.clone(), &[(257, &[9])]), "corrupt"),
        (with(whole.clone(), &[(322, &[0]), (323, &[16])]), "corrupt"),
    ] {
        let error = first(&file(Order::Little, &tags, &[&[1, 2, 3, 4]])).err().unwrap();
        assert_eq!(error.kind().name(), kind, "{error}");
    }
}

/// A lossless JPEG of three pixels of 12 bits: abc, abc again, and 800.
const LOSSLESS: &[u8] = b"\xff\xd8\xff\xc4\0\x15\0\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\
    \xff\xc3\0\x0b\x0c\0\x01\0\x03\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\x01\0\0\xab\xc4\xa1\xff\0\xff\xd9";

#[test]
fn lossless_jpeg_is_decoded_and_its_faults_are_named() {
    let grey = with(tags(3, 1, 1, &[12]), &[(259, &[7])]);
    check(&grey, &[LOSSLESS], &greys(&[0xab, 0xab, 0x80]));
    let at = |marker: u8| LOSSLESS.windows(2).position(|bytes| bytes == [0xff, marker]).unwrap();
    let colours = with(tags(3, 1, 6, &[8; 3]), &[(259, &[7]), (530, &[1, 1])]);
    for (tags, at, byte, kind) in [
        // 12 bits with losses, other bits than the tags have, subsampled, without a predictor, a missing
        // table, YCbCr.
        (&grey, at(0xc3) + 1, 0xc1, "unsupported"),
        (&grey, at(0xc3) + 4, 8, "corrupt"),
        (&grey, at(0xc3) + 11, 0x21, "unsupported"),
        (&grey, at(0xda) + 7, 0, "corrupt"),
        (&grey, at(0xda) + 6, 0x10, "corrupt"),
        (&colours, at(0xc3) + 9, 3, "unsupported"),
    ] {
        let mut strip = LOSSLESS.to_vec();
        strip[at] = byte;
        let error = first(&file(Order::Little, tags, &[&strip])).err().unwrap();
        assert_eq!(error.kind().name(), kind, "{byte:02x} at {at}: {error}");
    }
    for length in at(0xda)..LOSSLESS.len() - 3 {
        let error = first(&file(Order::Little, &grey, &[&LOSSLESS[..length]])).err();
        assert!(error.is_some(), "cut at {length}");
    }
}
