//! A quota: the limits of a member.

use std::num::{NonZeroU16, NonZeroU64};

use thiserror::Error;

/// A limit of a quota: at most [`Amount::MAX`], or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount(Option<NonZeroU64>);

/// The number is too large for an [`Amount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a limit is at most {max}, not {0}; 0 is no limit", max = Amount::MAX)]
pub struct AmountError(pub u64);

impl Amount {
    /// No limit.
    pub const NONE: Self = Self(None);
    /// The largest limit: products of units and nanoseconds fit into 128 bits.
    pub const MAX: u64 = 1 << 48;

    /// Checks the number; 0 means [`Self::NONE`].
    pub const fn new(amount: u64) -> Result<Self, AmountError> {
        if amount <= Self::MAX { Ok(Self(NonZeroU64::new(amount))) } else { Err(AmountError(amount)) }
    }

    /// Returns the limit; `None` if there is none.
    #[must_use]
    pub const fn get(self) -> Option<NonZeroU64> {
        self.0
    }

    /// Returns the wire form of the limit; 0 for none.
    #[must_use]
    pub fn to_wire(self) -> u64 {
        self.0.map_or(0, NonZeroU64::get)
    }
}

/// The limits of a member. The default is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Units of searching a second: [`Quota::HASH_UNITS`] for a hash and [`Quota::IMAGE_UNITS`] for an image,
    /// each times the hash types that are searched.
    pub units_per_second: Amount,
    /// Units that may be spent at once; without a value, those of one second.
    pub units_burst: Amount,
    /// Units of searching a day.
    pub units_per_day: Amount,
    /// The number of different items that may be matched in a day.
    pub items_matched_per_day: Amount,
    /// The number of items that may be added in a day.
    pub items_added_per_day: Amount,
    /// The number of different near queries of one item in a day; 0 for [`Quota::NEAR_QUERIES_DEFAULT`].
    pub near_queries_per_item_day: u16,
    /// Whether all queries must be images.
    pub images_only: bool,
}

impl Quota {
    /// The price of a hash, in units, for each hash type that is searched.
    pub const HASH_UNITS: u64 = 1;
    /// The price of an image, in units, for each hash type that is searched: decoding and hashing cost more
    /// than the search.
    pub const IMAGE_UNITS: u64 = 20;
    /// The price of a video, in units: decoding takes some tenths of a second, and there is an image hash for
    /// each second of the video.
    pub const VIDEO_UNITS: u64 = 600;
    /// The number of near queries of an item in a day, if the quota has none. The best known script, which
    /// uses exact distances of groups of exchanged bits, finds a hash with at least 69 queries (84 on
    /// average) from a copy 20 bits away, and with 50 (58) from one 10 bits away. A budget of 64 would be too
    /// large for the latter.
    pub const NEAR_QUERIES_DEFAULT: NonZeroU16 = NonZeroU16::new(32).unwrap();

    /// Returns the number of different near queries of one item in a day.
    #[must_use]
    pub fn near_queries(&self) -> NonZeroU16 {
        NonZeroU16::new(self.near_queries_per_item_day).unwrap_or(Self::NEAR_QUERIES_DEFAULT)
    }
}
