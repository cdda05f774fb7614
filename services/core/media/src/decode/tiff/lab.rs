//! Converts CIE L*a*b* to sRGB, as Pillow does with Little CMS: white point D50, to which sRGB's colours are
//! adapted.
//!
//! The formulas are those of CIE 15 and IEC 61966-2-1. The matrix is the inverse of the colours of an sRGB
//! profile (ICC, adapted by Bradford's method). Results are within 1 of Pillow's.

/// The white point D50, with the values of ICC profiles.
const WHITE: [f32; 3] = [0.9642, 1.0, 0.8249];

/// The matrix from XYZ at D50 to linear red, green and blue.
const TO_RGB: [[f32; 3]; 3] = [
    [3.133_856, -1.616_867, -0.490_615],
    [-0.978_769, 1.916_142, 0.033_454],
    [0.071_945, -0.228_991, 1.405_243],
];

/// The number of steps of the table of sRGB's curve.
const STEPS: u16 = 1 << 14;

/// The conversion, with its table.
pub(super) struct Lab {
    curve: Vec<u8>,
}

impl Lab {
    pub(super) fn new() -> Self {
        Self { curve: (0..=STEPS).map(|step| encoded(f32::from(step) / f32::from(STEPS))).collect() }
    }

    /// Converts L, where 0 to 255 stands for 0 to 100, and signed a and b to red, green and blue.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    pub(super) fn rgb(&self, [l, a, b]: [u8; 3]) -> [u8; 3] {
        let y = (f32::from(l) * (100.0 / 255.0) + 16.0) / 116.0;
        let x = y + f32::from(a.cast_signed()) / 500.0;
        let z = y - f32::from(b.cast_signed()) / 200.0;
        let [x, y, z] = [x, y, z].map(linear);
        let xyz = [x * WHITE[0], y * WHITE[1], z * WHITE[2]];
        TO_RGB.map(|row| {
            let light: f32 = row.iter().zip(xyz).map(|(weight, part)| weight * part).sum();
            self.curve[(light.clamp(0.0, 1.0) * f32::from(STEPS)).round() as usize]
        })
    }
}

/// Computes the inverse of the function of CIE L*a*b*.
fn linear(root: f32) -> f32 {
    let bend = 6.0 / 29.0;
    if root > bend { root * root * root } else { 3.0 * bend * bend * (root - 4.0 / 29.0) }
}

/// Returns the sample for an amount of light from 0 to 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
fn encoded(light: f32) -> u8 {
    let sample = if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (sample * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greys_and_primary_colours_are_those_of_pillow() {
        let lab = Lab::new();
        for (stored, rgb) in [
            ([0, 0, 0], [0, 0, 0]),
            ([255, 0, 0], [255, 255, 255]),
            ([137, 0, 0], [128, 128, 128]),
            ([138, 81, 70], [255, 0, 0]),
        ] {
            let near = lab.rgb(stored).iter().zip(rgb).all(|(&a, b): (&u8, u8)| a.abs_diff(b) <= 3);
            assert!(near, "{stored:?}: {:?}", lab.rgb(stored));
        }
    }
}
