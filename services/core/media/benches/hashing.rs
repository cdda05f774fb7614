//! Measures the cost of one image on one thread: decoding, PDQ, and the whole fingerprint, at 1 and at 12
//! megapixels.
//!
//! The pictures are generated here, so that the benchmark needs no file. `compare_with_pdqhash.py` beside
//! this file compares with PyPI's Pillow and `pdqhash`.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so at once")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image::codecs::jpeg::JpegEncoder;
use vigie_media::{Limits, decode, fingerprint, pdq};

/// Returns a JPEG of waves and a fixed pseudo-random texture.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut noise = 1_u32;
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (f32::from(x) / f32::from(width), f32::from(y) / f32::from(height));
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let texture = f32::from((noise >> 24).to_le_bytes()[0]) / 8.0;
            for phase in [0.0, 1.0, 2.0] {
                let wave = (x * 31.0 + phase).sin() * (y * 23.0 - phase).cos();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 to 255 by construction"
                )]
                rgb.push((110.0 + 90.0 * wave + texture) as u8);
            }
        }
    }
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, 85);
    let mut encoder = encoder;
    encoder.encode(&rgb, width.into(), height.into(), image::ExtendedColorType::Rgb8).unwrap();
    out
}

fn hashing(criterion: &mut Criterion) {
    let limits = Limits::default();
    for (name, width, height) in [("1 MP", 1152, 864), ("12 MP", 4000, 3000)] {
        let content = jpeg(width, height);
        let picture = decode(&content, &limits).unwrap();
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.throughput(Throughput::Elements(u64::from(width) * u64::from(height)));
        group.bench_function("decode", |b| b.iter(|| decode(black_box(&content), &limits)));
        group.bench_function("pdq, eight variants", |b| b.iter(|| pdq(black_box(&picture))));
        group.bench_function("fingerprint", |b| b.iter(|| fingerprint(black_box(&content), &limits)));
        group.finish();
    }
}

criterion_group!(benches, hashing);
criterion_main!(benches);
