use proptest::prelude::*;

use crate::preprocessing::{Element, Filter, ImageInput, InputError, Layout, Order, Resize, RgbPicture};
use crate::tensor::TensorData;

const FILTERS: [Filter; 4] = [Filter::Bilinear, Filter::Bicubic, Filter::Area, Filter::Nearest];

fn input(width: u32, height: u32, resize: Resize, filter: Filter) -> ImageInput {
    ImageInput {
        width,
        height,
        resize,
        filter,
        order: Order::Rgb,
        mean: [0.0; 3],
        scale: [1.0; 3],
        layout: Layout::Nhwc,
        element: Element::F32,
    }
}

/// Returns a picture whose bytes are the function of column, row and colour, modulo 256.
fn drawn(width: u32, height: u32, byte: impl Fn(u32, u32, u32) -> u32) -> RgbPicture {
    let colours = |y, x| (0..3).map(move |c| (x, y, c));
    let places = (0..height).flat_map(|y| (0..width).flat_map(move |x| colours(y, x)));
    RgbPicture::new(
        width,
        height,
        places.map(|(x, y, c)| u8::try_from(byte(x, y, c) % 256).unwrap()).collect(),
    )
    .unwrap()
}

fn pixel(picture: &RgbPicture, x: u32, y: u32) -> [u8; 3] {
    let at = usize::try_from((y * picture.width() + x) * 3).unwrap();
    picture.pixels()[at..at + 3].try_into().unwrap()
}

/// Compares with pixels of Pillow 13.0.0:
/// `Image.frombytes("RGB", (w, h), bytes((x*x*3 + y*y*5 + x*y*7 + c*59) % 256 ...)).resize(to, filter)`, at
/// (0, 0), (w-1, h-1), (3, 5), (w/2, h/2), (w-2, 1) and (1, h-3) of the result.
#[test]
fn filters_are_those_of_pillow() {
    type Case = ((u32, u32), (u32, u32), Filter, [[u8; 3]; 6]);
    #[rustfmt::skip]
    let cases: [Case; 12] = [
        ((37, 23), (16, 18), Filter::Bilinear, [[7, 66, 125], [131, 110, 154], [129, 145, 136], [89, 118, 154], [159, 159, 112], [132, 155, 99]]),
        ((37, 23), (16, 18), Filter::Bicubic, [[3, 62, 121], [128, 103, 159], [130, 147, 137], [81, 115, 161], [170, 157, 110], [131, 159, 98]]),
        ((37, 23), (16, 18), Filter::Area, [[2, 61, 120], [149, 80, 139], [148, 143, 138], [46, 105, 164], [172, 146, 119], [100, 159, 132]]),
        ((37, 23), (16, 18), Filter::Nearest, [[3, 62, 121], [221, 24, 83], [61, 120, 179], [71, 130, 189], [175, 234, 37], [183, 242, 45]]),
        ((9, 7), (24, 20), Filter::Bilinear, [[0, 59, 118], [196, 255, 58], [22, 81, 140], [189, 172, 59], [191, 243, 53], [162, 211, 114]]),
        ((9, 7), (24, 20), Filter::Bicubic, [[0, 59, 118], [217, 255, 23], [20, 79, 138], [198, 187, 30], [191, 246, 53], [166, 218, 107]]),
        ((9, 7), (24, 20), Filter::Area, [[0, 59, 118], [196, 255, 58], [15, 74, 133], [177, 236, 39], [192, 251, 54], [180, 239, 42]]),
        ((9, 7), (24, 20), Filter::Nearest, [[0, 59, 118], [196, 255, 58], [15, 74, 133], [177, 236, 39], [192, 251, 54], [180, 239, 42]]),
        ((37, 23), (20, 31), Filter::Bilinear, [[2, 61, 120], [142, 91, 150], [95, 128, 152], [83, 142, 133], [142, 195, 123], [155, 96, 125]]),
        ((37, 23), (20, 31), Filter::Bicubic, [[1, 60, 119], [152, 85, 146], [84, 126, 161], [79, 147, 133], [151, 206, 118], [160, 88, 133]]),
        ((37, 23), (20, 31), Filter::Area, [[2, 61, 120], [149, 80, 139], [100, 159, 218], [79, 138, 197], [151, 210, 141], [160, 91, 150]]),
        ((37, 23), (20, 31), Filter::Nearest, [[0, 59, 118], [76, 135, 194], [100, 159, 218], [79, 138, 197], [127, 186, 245], [207, 10, 69]]),
    ];
    for ((width, height), (to_width, to_height), filter, pillow) in cases {
        let picture = drawn(width, height, |x, y, c| x * x * 3 + y * y * 5 + x * y * 7 + c * 59);
        let resized = input(to_width, to_height, Resize::Stretch, filter).resize(&picture).unwrap();
        let places = [
            (0, 0),
            (to_width - 1, to_height - 1),
            (3, 5),
            (to_width / 2, to_height / 2),
            (to_width - 2, 1),
            (1, to_height - 3),
        ];
        let got = places.map(|(x, y)| pixel(&resized, x, y));
        // Pillow's fixed-point weights round a few sums of the cubic filter to the neighbouring byte.
        let difference = u8::from(filter == Filter::Bicubic);
        let pairs = got.as_flattened().iter().zip(pillow.as_flattened());
        let is_near = pairs.into_iter().all(|(a, b)| a.abs_diff(*b) <= difference);
        assert!(is_near, "{filter:?} {width}x{height} to {to_width}x{to_height}: {got:?}");
    }
}

/// Compares the sum over all bytes, each times its position from 1 on, with Pillow 13.0.0. Rows before
/// columns give another sum.
#[test]
fn columns_are_resampled_before_rows() {
    let picture = drawn(9, 7, |x, y, c| x * x * 3 + y * y * 5 + x * y * 7 + c * 59);
    let resized = input(24, 20, Resize::Stretch, Filter::Bilinear).resize(&picture).unwrap();
    let sum: u64 = (1..).zip(resized.pixels()).map(|(position, byte)| position * u64::from(*byte)).sum();
    assert_eq!(sum, 131_924_648);
}

#[test]
fn area_is_the_mean_of_whole_blocks() {
    let picture = drawn(64, 32, |x, y, c| x * 3 + y * 2 + c);
    let resized = input(32, 16, Resize::Stretch, Filter::Area).resize(&picture).unwrap();
    for (x, y) in [(0, 0), (31, 15), (7, 9)] {
        let block = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| pixel(&picture, 2 * x + dx, 2 * y + dy));
        for (colour, byte) in pixel(&resized, x, y).into_iter().enumerate() {
            let sum: u16 = block.iter().map(|pixel| u16::from(pixel[colour])).sum();
            // Bytes are rounded after the columns and after the rows.
            let difference = f32::from(byte) - f32::from(sum) / 4.0;
            assert!(difference.abs() <= 0.75, "{x} {y}: {byte} of {sum}");
        }
    }
}

proptest! {
    #[test]
    fn one_colour_stays_one_colour(
        colour: [u8; 3], width in 1_u32..70, height in 1_u32..70, filter in prop::sample::select(FILTERS.to_vec()), resize in 0..3,
    ) {
        let resize = match resize {
            0 => Resize::Stretch,
            1 => Resize::CoverThenCrop { resize_to: 25 },
            _ => Resize::Fit { pad: colour },
        };
        let picture = drawn(width, height, |_, _, c| colour[usize::try_from(c).unwrap()].into());
        let resized = input(24, 17, resize, filter).resize(&picture).unwrap();
        prop_assert_eq!((resized.width(), resized.height()), (24, 17));
        prop_assert!(resized.pixels().as_chunks::<3>().0.iter().all(|pixel| *pixel == colour));
    }

    #[test]
    fn the_tensor_holds_every_byte_where_layout_and_order_put_it(seed: u8, bgr: bool, nchw: bool, x in 0_usize..16, y in 0_usize..17) {
        let (mean, scale) = ([1.0, 20.0, 130.0], [0.5, -2.0, 0.25]);
        let declared = ImageInput {
            order: if bgr { Order::Bgr } else { Order::Rgb },
            layout: if nchw { Layout::Nchw } else { Layout::Nhwc },
            mean,
            scale,
            ..input(16, 17, Resize::Stretch, Filter::Area)
        };
        let picture = drawn(16, 17, |x, y, c| x * 5 + y * 11 + c * 101 + u32::from(seed));
        let tensor = declared.tensor("data", &picture).unwrap();
        prop_assert_eq!(tensor.shape(), if nchw { [1, 3, 17, 16] } else { [1, 17, 16, 3] });
        let TensorData::F32(values) = tensor.data() else { panic!() };
        for channel in 0..3 {
            let colour = if bgr { 2 - channel } else { channel };
            let byte = picture.pixels()[(y * 16 + x) * 3 + colour];
            let at = if nchw { (channel * 17 + y) * 16 + x } else { (y * 16 + x) * 3 + channel };
            prop_assert_eq!(values[at], (f32::from(byte) - mean[channel]) * scale[channel]);
        }
    }
}

#[test]
fn covering_keeps_the_middle() {
    // The picture of 80 x 20 is not scaled, and columns 30 to 49 stay.
    let wide = drawn(80, 20, |x, y, c| x * 3 + y + c);
    let cut = input(20, 20, Resize::CoverThenCrop { resize_to: 20 }, Filter::Bicubic).resize(&wide).unwrap();
    assert_eq!(pixel(&cut, 0, 0), pixel(&wide, 30, 0));
    assert_eq!(pixel(&cut, 19, 19), pixel(&wide, 49, 19));
    // There are 5 surplus columns and 11 surplus rows: 2 are cut at the left, and 5 at the top.
    let tall = drawn(21, 31, |x, y, c| x * 3 + y * 7 + c);
    let cut = input(16, 20, Resize::CoverThenCrop { resize_to: 21 }, Filter::Bicubic).resize(&tall).unwrap();
    assert_eq!(pixel(&cut, 0, 0), pixel(&tall, 2, 5));
}

#[test]
fn fitting_pads_around_the_middle() {
    // 40 x 10 in 20 x 20 is 20 x 5: rows 7 to 11.
    let black = drawn(40, 10, |_, _, _| 0);
    let fit = input(20, 20, Resize::Fit { pad: [9, 8, 7] }, Filter::Bilinear).resize(&black).unwrap();
    for y in 0..20 {
        let expected = if (7..12).contains(&y) { [0, 0, 0] } else { [9, 8, 7] };
        assert_eq!([pixel(&fit, 0, y), pixel(&fit, 19, y)], [expected; 2], "row {y}");
    }
    // A picture of one column keeps one column.
    let hair = drawn(1, 1000, |_, _, _| 0);
    let fit = input(16, 16, Resize::Fit { pad: [255; 3] }, Filter::Area).resize(&hair).unwrap();
    let dark = (0..16).filter(|x| pixel(&fit, *x, 0) == [0, 0, 0]).count();
    assert_eq!(dark, 1);
}

#[test]
fn a_tall_hair_is_stretched_without_growing_on_the_way() {
    // Columns first would take 201 MB for these 197 KB.
    let hair = drawn(1, 65_535, |_, y, _| y / 32_768 * 200);
    let resized = input(1024, 16, Resize::Stretch, Filter::Area).resize(&hair).unwrap();
    for x in [0, 1023] {
        assert_eq!([pixel(&resized, x, 0), pixel(&resized, x, 15)], [[0; 3], [200; 3]]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Brute force over extreme shapes: each gives the declared size, or is too narrow to be cropped.
    #[test]
    fn every_shape_gives_the_declared_size_or_is_too_narrow(
        long in 1_u32..=65_535, short in 1_u32..6, is_tall: bool, resize_to in 16_u32..=2048, filter in prop::sample::select(FILTERS.to_vec()),
    ) {
        let (width, height) = if is_tall { (short, long) } else { (long, short) };
        let bytes = usize::try_from(width * height * 3).unwrap();
        let picture = RgbPicture::new(width, height, vec![7; bytes]).unwrap();
        for resize in [Resize::Stretch, Resize::Fit { pad: [7; 3] }, Resize::CoverThenCrop { resize_to }] {
            match input(16, 16, resize, filter).resize(&picture) {
                Ok(resized) => prop_assert!(resized.width() == 16 && resized.height() == 16),
                Err(error) => {
                    prop_assert_eq!(error, InputError::Narrow(width, height));
                    let shorter = width.min(height);
                    let longer = u64::from(long.max(short)) * u64::from(resize_to) / u64::from(shorter);
                    let is_too_large = longer > 65_535 || longer * u64::from(resize_to) * 3 > 64 << 20;
                    let is_cropped = matches!(resize, Resize::CoverThenCrop { .. });
                    prop_assert!(is_too_large && is_cropped);
                }
            }
        }
    }
}

#[test]
fn sizes_and_shapes_out_of_bounds_are_errors() {
    let declared = input(224, 224, Resize::CoverThenCrop { resize_to: 256 }, Filter::Bilinear);
    let hair = drawn(1, 65_535, |_, _, _| 0);
    assert_eq!(declared.resize(&hair), Err(InputError::Narrow(1, 65_535)));
    // 16 x 80,000 pixels are not many, but a side is too long.
    let long = input(16, 16, Resize::CoverThenCrop { resize_to: 16 }, Filter::Bilinear);
    assert_eq!(long.resize(&drawn(1, 5_000, |_, _, _| 0)), Err(InputError::Narrow(1, 5_000)));
    let small = drawn(20, 20, |_, _, _| 0);
    assert_eq!(declared.tensor("x", &small), Err(InputError::Size { expected: (224, 224), got: (20, 20) }));
    assert!(matches!(declared.prepare("", &small), Err(InputError::Tensor(_))));
    assert_eq!(declared.prepare("x", &small).unwrap().shape(), [1, 224, 224, 3]);
    let faulty = ImageInput {
        width: 15,
        height: 1025,
        resize: Resize::CoverThenCrop { resize_to: 1024 },
        mean: [f32::NAN, 0.0, 0.0],
        scale: [1.0, 0.0, 1.0],
        element: Element::U8,
        ..declared
    };
    let Err(InputError::Declared(faults)) = faulty.resize(&small) else { panic!() };
    assert_eq!(
        faults.to_string(),
        "width: 15 is not from 16 to 1024\nheight: 1025 is not from 16 to 1024\n\
         resize.resize_to: 1024 is not from 1025, the longer side, to 2048\n\
         mean: a mean is a number from -1000000 to 1000000\n\
         scale: a scale is a number from -1000000 to 1000000 and not 0\n\
         element: u8 keeps the bytes, so mean is 0 and scale is 1"
    );
    assert_eq!(faulty.tensor("x", &small), Err(InputError::Declared(faults.clone())));
    assert_eq!((faults.as_slice()[0].field.as_str(), faults.as_slice().len()), ("width", 6));
}

#[test]
fn normalisations_of_torchvision_and_of_0_to_1_have_their_mean_and_scale() {
    let (mean, scale) = ImageInput::normalised([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    // (200 / 255 - 0.485) / 0.229, by hand.
    assert!(((200.0 - mean[0]) * scale[0] - 1.307_047).abs() < 1e-5);
    let (mean, scale) = ImageInput::unit();
    assert!(((255.0 - mean[2]) * scale[2] - 1.0).abs() < 1e-6);
}

#[test]
fn bytes_stay_bytes_and_the_json_form_reads_back() {
    let text = r#"{"width":16,"height":16,"resize":{"cover_then_crop":{"resize_to":32}},"filter":"bicubic","order":"bgr","mean":[0.0,0.0,0.0],"scale":[1.0,1.0,1.0],"layout":"nhwc","element":"u8"}"#;
    let declared: ImageInput = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&declared).unwrap(), text);
    let picture = drawn(16, 16, |x, y, c| x + y + c * 50);
    let tensor = declared.tensor("x", &picture).unwrap();
    let TensorData::U8(bytes) = tensor.into_data() else { panic!() };
    assert_eq!(bytes[..6], [100, 50, 0, 101, 51, 1]);
    let unknown = text.replace("\"width\"", "\"Width\"");
    assert!(serde_json::from_str::<ImageInput>(&unknown).is_err());
}
