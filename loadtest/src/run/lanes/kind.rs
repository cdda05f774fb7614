//! Kinds of request, and the random choice between them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::draw::Draw;

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A lookup of one hash.
    Lookup,
    /// A lookup of several hashes in one call.
    Batch,
    /// A lookup of several hashes in one call, in the packed form.
    Packed,
    /// A lookup of one hash on an open stream.
    Stream,
    /// A lookup of one image.
    Image,
    /// A lookup of one video, by the hashes of its frames.
    Video,
    /// An addition of one item.
    Add,
    /// A removal of one item.
    Remove,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 8] = [
        Self::Lookup,
        Self::Batch,
        Self::Packed,
        Self::Stream,
        Self::Image,
        Self::Video,
        Self::Add,
        Self::Remove,
    ];

    /// Returns the name.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Batch => "batch",
            Self::Packed => "packed",
            Self::Stream => "stream",
            Self::Image => "image",
            Self::Video => "video",
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }

    /// Returns the kind of that name.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns whether it is a lookup, which is answered with matches.
    #[must_use]
    pub(crate) const fn asks(self) -> bool {
        matches!(self, Self::Lookup | Self::Batch | Self::Packed | Self::Stream | Self::Image | Self::Video)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The weights with which kinds of request are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mix {
    /// Weight of lookups of one hash in a call of its own.
    pub(crate) lookup: u32,
    /// Weight of lookups of several hashes in one call.
    pub(crate) batch: u32,
    /// Weight of lookups of several hashes in one call, in the packed form. They are reported separately from
    /// those of `batch`.
    pub(crate) packed: u32,
    /// Weight of lookups of one hash on a stream that stays open.
    pub(crate) stream: u32,
    /// Weight of lookups of one image.
    pub(crate) image: u32,
    /// Weight of lookups of one video, by the hashes of its frames.
    pub(crate) video: u32,
    /// Weight of additions of one item to the bank.
    pub(crate) add: u32,
    /// Weight of removals of one item that this run has added.
    pub(crate) remove: u32,
    /// Hashes in a batch, packed or not, at most 256.
    pub(crate) batch_size: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            lookup: 1,
            batch: 0,
            packed: 0,
            stream: 0,
            image: 0,
            video: 0,
            add: 0,
            remove: 0,
            batch_size: 64,
        }
    }
}

impl Mix {
    /// Returns whether the mix has requests that write to the bank.
    #[must_use]
    pub(crate) const fn writes(&self) -> bool {
        self.add > 0 || self.remove > 0
    }

    /// Returns the weights, in the order of [`Kind::ALL`].
    pub(crate) const fn weights(&self) -> [u32; 8] {
        let Self { lookup, batch, packed, stream, image, video, add, remove, batch_size: _ } = *self;
        [lookup, batch, packed, stream, image, video, add, remove]
    }
}

/// Draws kinds by their weights.
#[derive(Debug, Clone)]
pub(crate) struct Chooser {
    /// Each kind with the sum of the weights up to and including its own.
    ends: Vec<(u64, Kind)>,
}

impl Chooser {
    pub(crate) fn new(mix: &Mix) -> Self {
        let weights = mix.weights();
        let mut end = 0;
        let ends = Kind::ALL.into_iter().zip(weights).map(|(kind, weight)| {
            end += u64::from(weight);
            (end, kind)
        });
        Self { ends: ends.collect() }
    }

    pub(crate) fn choose(&self, draw: &mut Draw) -> Kind {
        let total = self.ends.last().map_or(1, |&(end, _)| end.max(1));
        let at = draw.below(total);
        self.ends.iter().find(|&&(end, _)| at < end).map_or(Kind::Lookup, |&(_, kind)| kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::draw::Stream;

    #[test]
    fn kinds_come_as_often_as_their_weights_say() {
        let mix = Mix { lookup: 60, video: 10, image: 20, add: 10, ..Mix::default() };
        let chooser = Chooser::new(&mix);
        let count = |kind: Kind| {
            (0..20_000).filter(|&n| chooser.choose(&mut Draw::new(1, Stream::Request, n)) == kind).count()
        };
        for (kind, expected) in [
            (Kind::Lookup, 12_000),
            (Kind::Video, 2_000),
            (Kind::Image, 4_000),
            (Kind::Add, 2_000),
            (Kind::Batch, 0),
        ] {
            // At most six standard deviations.
            assert!(count(kind).abs_diff(expected) < 400, "{kind}: {}", count(kind));
        }
        assert_eq!(Kind::ALL.map(|kind| Kind::named(kind.as_str())), Kind::ALL.map(Some));
    }
}
