//! A quota: the limits of a member.

use std::num::{NonZeroU16, NonZeroU64};

use thiserror::Error;

/// A limit of a quota: at most [`Amount::MAX`], or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount(Option<NonZeroU64>);

/// The number is no [`Amount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a limit is at most {max}, not {0}; 0 is no limit", max = Amount::MAX)]
pub struct AmountError(pub u64);

impl Amount {
    /// No limit.
    pub const NONE: Self = Self(None);
    /// The largest limit: what is counted in units times nanoseconds has room in 128 bits.
    pub const MAX: u64 = 1 << 48;

    /// Checks the number; 0 stands for [`Self::NONE`].
    pub const fn new(amount: u64) -> Result<Self, AmountError> {
        if amount <= Self::MAX { Ok(Self(NonZeroU64::new(amount))) } else { Err(AmountError(amount)) }
    }

    /// The limit; `None` where there is none.
    #[must_use]
    pub const fn get(self) -> Option<NonZeroU64> {
        self.0
    }

    /// The limit as the wire has it; 0 for none.
    #[must_use]
    pub fn to_wire(self) -> u64 {
        self.0.map_or(0, NonZeroU64::get)
    }
}

/// The limits of a member. The default has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Units of searching a second: [`Quota::HASH_UNITS`] for a hash and [`Quota::IMAGE_UNITS`] for an image,
    /// each times the hash types that are searched.
    pub units_per_second: Amount,
    /// Units that may be spent at once; those of one second where there is no limit.
    pub units_burst: Amount,
    /// Units of searching a day.
    pub units_per_day: Amount,
    /// Different items a day that may be matched.
    pub items_matched_per_day: Amount,
    /// Items a day that may be added.
    pub items_added_per_day: Amount,
    /// Different queries a day that may match one item without being equal to it; 0 for
    /// [`Quota::NEAR_QUERIES_DEFAULT`].
    pub near_queries_per_item_day: u16,
    /// Whether queries have to be images.
    pub images_only: bool,
}

impl Quota {
    /// Units of a hash, for each hash type that is searched.
    pub const HASH_UNITS: u64 = 1;
    /// Units of an image, for each hash type that is searched: decoding and hashing cost more than the
    /// search.
    pub const IMAGE_UNITS: u64 = 20;
    /// Units of a video: it is decoded for some tenths of a second, and has a hash of an image for each
    /// second of it.
    pub const VIDEO_UNITS: u64 = 600;
    /// Near queries of an item in a day where the quota names none. The best script that is known, by exact
    /// distances of groups of exchanged bits, finds a hash with at least 69 queries (84 on average) from a
    /// copy 20 bits away, and with 50 (58) from one 10 bits away. 64 would not be enough for the latter.
    pub const NEAR_QUERIES_DEFAULT: NonZeroU16 = NonZeroU16::new(32).unwrap();

    /// Different queries a day that may come near one item.
    #[must_use]
    pub fn near_queries(&self) -> NonZeroU16 {
        NonZeroU16::new(self.near_queries_per_item_day).unwrap_or(Self::NEAR_QUERIES_DEFAULT)
    }
}
