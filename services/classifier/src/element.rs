//! Types of elements, and elements as bytes: the form of tensors in messages to processes and servers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use vigie_classifiers::TensorData;

/// The type of a tensor's elements, in a model. Written with the names of the Open Inference Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ElementType {
    /// A byte that is 0 or 1.
    #[serde(rename = "BOOL")]
    Bool,
    /// 8 bits without a sign.
    #[serde(rename = "UINT8")]
    U8,
    /// 16 bits without a sign.
    #[serde(rename = "UINT16")]
    U16,
    /// 32 bits without a sign.
    #[serde(rename = "UINT32")]
    U32,
    /// 64 bits without a sign.
    #[serde(rename = "UINT64")]
    U64,
    /// 8 bits with a sign.
    #[serde(rename = "INT8")]
    I8,
    /// 16 bits with a sign.
    #[serde(rename = "INT16")]
    I16,
    /// 32 bits with a sign.
    #[serde(rename = "INT32")]
    I32,
    /// 64 bits with a sign.
    #[serde(rename = "INT64")]
    I64,
    /// IEEE 754, 16 bits.
    #[serde(rename = "FP16")]
    F16,
    /// The upper 16 bits of IEEE 754 with 32.
    #[serde(rename = "BF16")]
    Bf16,
    /// IEEE 754, 32 bits.
    #[serde(rename = "FP32")]
    F32,
    /// IEEE 754, 64 bits.
    #[serde(rename = "FP64")]
    F64,
    /// Text in UTF-8.
    #[serde(rename = "BYTES")]
    Text,
}

/// The reason why bytes are not valid elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ElementFault {
    /// The number of bytes differs from that of the elements.
    #[error("another number of bytes than its elements have")]
    Length,
    /// A number is NaN or infinite.
    #[error("a number that is not finite")]
    NotFinite,
    /// A number exceeds a signed 64-bit integer.
    #[error("a number beyond 64 bits with a sign")]
    Range,
    /// A text is not UTF-8.
    #[error("text that is not UTF-8")]
    Text,
}

/// The number of bytes of the length before each text.
const LENGTH_BYTES: usize = 4;

impl ElementType {
    /// Every type.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::F16,
        Self::Bf16,
        Self::F32,
        Self::F64,
        Self::Text,
    ];

    /// Returns the name in the Open Inference Protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::U8 => "UINT8",
            Self::U16 => "UINT16",
            Self::U32 => "UINT32",
            Self::U64 => "UINT64",
            Self::I8 => "INT8",
            Self::I16 => "INT16",
            Self::I32 => "INT32",
            Self::I64 => "INT64",
            Self::F16 => "FP16",
            Self::Bf16 => "BF16",
            Self::F32 => "FP32",
            Self::F64 => "FP64",
            Self::Text => "BYTES",
        }
    }

    /// Returns the type with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.name() == name)
    }

    /// Returns the type of input elements.
    #[must_use]
    pub const fn of(data: &TensorData) -> Self {
        match data {
            TensorData::F32(_) => Self::F32,
            TensorData::U8(_) => Self::U8,
            TensorData::I32(_) => Self::I32,
            TensorData::I64(_) => Self::I64,
            TensorData::Text(_) => Self::Text,
        }
    }

    /// Returns the number of bytes of one element; `None` for texts, whose lengths differ.
    pub(crate) const fn bytes(self) -> Option<usize> {
        match self {
            Self::Bool | Self::U8 | Self::I8 => Some(1),
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text => None,
        }
    }
}

/// Encodes elements as bytes: little-endian, without padding; each text with its length before it, in 4
/// bytes.
pub(crate) fn encode(data: &TensorData) -> Vec<u8> {
    match data {
        TensorData::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        TensorData::U8(values) => values.clone(),
        TensorData::I32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        TensorData::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        TensorData::Text(texts) => encode_texts(texts.iter().map(String::as_bytes)),
    }
}

/// Encodes texts, each with its length before it.
pub(crate) fn encode_texts<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    // A tensor's bytes are bounded far below 4 GiB.
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    texts.flat_map(|text| [length(text).as_slice(), text].concat()).collect()
}

/// Returns the number of bytes that [`encode`] writes for these elements.
pub(crate) fn encoded_bytes(data: &TensorData) -> usize {
    match data {
        TensorData::Text(texts) => data.bytes() + texts.len() * LENGTH_BYTES,
        TensorData::F32(_) | TensorData::U8(_) | TensorData::I32(_) | TensorData::I64(_) => data.bytes(),
    }
}

/// Reads `count` elements, which have to fill `bytes` exactly. Numbers of types without a [`TensorData`] form
/// are converted: floating-point numbers to 32 bits, small integers to 32 bits with a sign, larger integers
/// to 64. Every floating-point number is finite.
///
/// # Errors
/// [`ElementFault`]. Nothing is allocated for elements that `bytes` does not hold.
pub(crate) fn decode(element: ElementType, count: usize, bytes: &[u8]) -> Result<TensorData, ElementFault> {
    let Some(size) = element.bytes() else { return texts(count, bytes) };
    if count.checked_mul(size) != Some(bytes.len()) {
        return Err(ElementFault::Length);
    }
    match element {
        ElementType::Bool | ElementType::U8 => Ok(TensorData::U8(bytes.to_vec())),
        ElementType::I8 => Ok(TensorData::I32(bytes.iter().map(|&byte| byte.cast_signed().into()).collect())),
        ElementType::U16 => Ok(TensorData::I32(each(bytes, |two| u16::from_le_bytes(two).into()))),
        ElementType::I16 => Ok(TensorData::I32(each(bytes, |two| i16::from_le_bytes(two).into()))),
        ElementType::I32 => Ok(TensorData::I32(each(bytes, i32::from_le_bytes))),
        ElementType::U32 => Ok(TensorData::I64(each(bytes, |four| u32::from_le_bytes(four).into()))),
        ElementType::I64 => Ok(TensorData::I64(each(bytes, i64::from_le_bytes))),
        ElementType::U64 => {
            let values = each(bytes, u64::from_le_bytes).into_iter().map(i64::try_from);
            Ok(TensorData::I64(values.collect::<Result<_, _>>().map_err(|_| ElementFault::Range)?))
        }
        ElementType::F16 => floats(each(bytes, |two| half(u16::from_le_bytes(two)))),
        ElementType::Bf16 => {
            floats(each(bytes, |two| f32::from_bits(u32::from(u16::from_le_bytes(two)) << 16)))
        }
        ElementType::F32 => floats(each(bytes, f32::from_le_bytes)),
        ElementType::F64 => floats(each(bytes, |eight| narrow(f64::from_le_bytes(eight)))),
        ElementType::Text => texts(count, bytes),
    }
}

/// Returns numbers as tensor data, if all are finite.
pub(crate) fn floats(values: Vec<f32>) -> Result<TensorData, ElementFault> {
    if values.iter().all(|value| value.is_finite()) {
        Ok(TensorData::F32(values))
    } else {
        Err(ElementFault::NotFinite)
    }
}

/// Returns the nearest number of 32 bits; infinite beyond their range.
#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest number is what is wanted")]
pub(crate) const fn narrow(value: f64) -> f32 {
    value as f32
}

/// Returns the IEEE 754 number of these 16 bits: a sign, 5 bits of exponent, 10 of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2_f32.powi(-24),
        0x1f if fraction == 0.0 => sign * f32::INFINITY,
        0x1f => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2_f32.powi(exponent - 15),
    }
}

fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect()
}

fn texts(count: usize, mut bytes: &[u8]) -> Result<TensorData, ElementFault> {
    // Each text has at least a length.
    if count.checked_mul(LENGTH_BYTES).is_none_or(|least| least > bytes.len()) {
        return Err(ElementFault::Length);
    }
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(ElementFault::Length)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| ElementFault::Length)?;
        let (text, rest) = rest.split_at_checked(length).ok_or(ElementFault::Length)?;
        texts.push(String::from_utf8(text.to_vec()).map_err(|_| ElementFault::Text)?);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(TensorData::Text(texts)) } else { Err(ElementFault::Length) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_data() -> impl Strategy<Value = TensorData> {
        let finite = prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::SUBNORMAL;
        prop_oneof![
            prop::collection::vec(finite, 0..20).prop_map(TensorData::F32),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(TensorData::U8),
            prop::collection::vec(any::<i32>(), 0..20).prop_map(TensorData::I32),
            prop::collection::vec(any::<i64>(), 0..20).prop_map(TensorData::I64),
            prop::collection::vec(".{0,9}", 0..20).prop_map(TensorData::Text),
        ]
    }

    proptest! {
        #[test]
        fn elements_are_read_as_they_were_written(data in any_data()) {
            let bytes = encode(&data);
            prop_assert_eq!(bytes.len(), encoded_bytes(&data));
            prop_assert_eq!(decode(ElementType::of(&data), data.len(), &bytes), Ok(data));
        }

        #[test]
        fn any_bytes_and_any_count_are_read_or_refused(
            element in prop::sample::select(&ElementType::ALL[..]),
            count in prop_oneof![0_usize..9, Just(usize::MAX), Just(usize::MAX / 8 + 1)],
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            if let Ok(data) = decode(element, count, &bytes) {
                prop_assert_eq!(data.len(), count);
                if let Some(size) = element.bytes() {
                    prop_assert_eq!(bytes.len(), count * size);
                }
            }
        }
    }

    /// Values of the tables of IEEE 754-2008's binary16.
    #[test]
    fn halves_are_the_numbers_that_the_standard_has_for_them() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x8000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0x3c01, 1.000_976_6),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
        ] {
            let read = decode(ElementType::F16, 1, &u16::to_le_bytes(bits)).unwrap();
            assert_eq!(read, TensorData::F32(vec![value]), "{bits:#x}");
        }
        for not_finite in [0x7c00, 0xfc00, 0x7e00, 0x7c01] {
            let read = decode(ElementType::F16, 1, &u16::to_le_bytes(not_finite));
            assert_eq!(read, Err(ElementFault::NotFinite), "{not_finite:#x}");
        }
    }

    #[test]
    fn numbers_become_the_next_wider_type() {
        let check = |element, bytes: &[u8], expected| assert_eq!(decode(element, 1, bytes), Ok(expected));
        check(ElementType::Bool, &[1], TensorData::U8(vec![1]));
        check(ElementType::I8, &[0xff], TensorData::I32(vec![-1]));
        check(ElementType::U16, &[0xff, 0xff], TensorData::I32(vec![65_535]));
        check(ElementType::I16, &[0xfe, 0xff], TensorData::I32(vec![-2]));
        check(ElementType::U32, &[0xff; 4], TensorData::I64(vec![4_294_967_295]));
        check(ElementType::U64, &7_u64.to_le_bytes(), TensorData::I64(vec![7]));
        check(ElementType::Bf16, &[0x80, 0x3f], TensorData::F32(vec![1.0]));
        check(ElementType::F64, &0.1_f64.to_le_bytes(), TensorData::F32(vec![0.1]));
        assert_eq!(decode(ElementType::U64, 1, &[0xff; 8]), Err(ElementFault::Range));
        assert_eq!(decode(ElementType::F64, 1, &1e300_f64.to_le_bytes()), Err(ElementFault::NotFinite));
        assert_eq!(decode(ElementType::F32, 1, &f32::NAN.to_le_bytes()), Err(ElementFault::NotFinite));
        assert_eq!(decode(ElementType::Text, 1, &[1, 0, 0, 0, 0xff]), Err(ElementFault::Text));
        assert_eq!(decode(ElementType::Text, 1, &[9, 0, 0, 0, 1]), Err(ElementFault::Length));
    }

    #[test]
    fn names_are_those_of_the_protocol_and_each_is_found() {
        for element in ElementType::ALL {
            assert_eq!(ElementType::by_name(element.name()), Some(element));
            let written = serde_json::to_value(element).unwrap();
            assert_eq!(written, element.name());
            assert_eq!(serde_json::from_value::<ElementType>(written).unwrap(), element);
        }
        assert_eq!(ElementType::by_name("STRING"), None);
    }
}
