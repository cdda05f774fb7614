//! Bytes as hexadecimal digits.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Returns two lower-case digits for each byte.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    write(&mut text, bytes).expect("a string takes everything");
    text
}

/// Writes two lower-case digits for each byte, without building a string.
pub fn write(to: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    for byte in bytes {
        to.write_char(char::from(DIGITS[usize::from(byte >> 4)]))?;
        to.write_char(char::from(DIGITS[usize::from(byte & 15)]))?;
    }
    Ok(())
}

/// Shows bytes as lower-case digits in a format string.
#[derive(Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0)
    }
}

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hex({} bytes)", self.0.len())
    }
}

/// Reads digits of either case, without prefix or separators. `None` for any other text, or for an odd number
/// of digits.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Reads digits as [`decode`] does, into the beginning of `to`, and returns the number of bytes. `None` also
/// if they do not fit into `to`.
#[must_use]
pub fn decode_into(text: &[u8], to: &mut [u8]) -> Option<usize> {
    let (pairs, rest) = text.as_chunks::<2>();
    let to = to.get_mut(..pairs.len()).filter(|_| rest.is_empty())?;
    let mut faults = 0;
    for (byte, [high, low]) in to.iter_mut().zip(pairs) {
        let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
        faults |= high | low;
        *byte = high << 4 | low & 15;
    }
    (faults & NO_DIGIT == 0).then_some(pairs.len())
}

/// Marks a byte in [`VALUES`] that is not a digit.
const NO_DIGIT: u8 = 0x80;

/// The value of each byte as a hexadecimal digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut byte = 0_u8;
    loop {
        if let Some(value) = digit(byte) {
            values[byte as usize] = value;
        }
        if byte == u8::MAX {
            break values;
        }
        byte += 1;
    }
};

/// Reads exactly `N` bytes, in the form of [`decode`].
#[must_use]
pub fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

const fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_read_back_in_either_case(bytes: Vec<u8>) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(&text), Some(bytes.clone()));
            prop_assert_eq!(decode(&text.to_uppercase()), Some(bytes.clone()));
            prop_assert_eq!(Hex(&bytes).to_string(), text);
        }

        #[test]
        fn digits_are_read_in_place_as_they_are_into_a_vector(text in "[0-9a-fA-F]{0,12}|[ -~]{0,6}|\\PC{0,4}", room in 0_usize..8) {
            let mut to = vec![0; room];
            let read = decode_into(text.as_bytes(), &mut to).map(|len| to[..len].to_vec());
            prop_assert_eq!(read, decode(&text).filter(|bytes| bytes.len() <= room));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["abc", "zz", "+1", "é", "0x", " 1"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode_array::<2>("abcd"), Some([0xab, 0xcd]));
        assert_eq!(decode_array::<3>("abcd"), None);
    }
}
