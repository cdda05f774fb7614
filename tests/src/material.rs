//! Hashes and pictures for banks and queries.

use rand::{Rng, RngExt as _, SeedableRng as _, rngs::SmallRng};
use vigie_media::Limits;
use vigie_model::{
    Content, Hash, HashType, ItemContent, ItemDraft, MatchCall, PdqHash, QueryHash, SearchOptions, Variant,
};

/// Returns a generator with a given seed, so that a failure can be reproduced.
#[must_use]
pub fn generator(seed: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed)
}

/// Returns a random hash, which is far from every other.
pub fn random_pdq(rng: &mut impl Rng) -> PdqHash {
    rng.random()
}

/// Returns a random hash that a picture may have: half of its bits are set.
pub fn pdq_of_a_picture(rng: &mut impl Rng) -> PdqHash {
    flipped(&[0; 32], 128, rng)
}

/// Returns `hash` with `bits` of its bits flipped.
pub fn flipped(hash: &PdqHash, bits: usize, rng: &mut impl Rng) -> PdqHash {
    let mut flipped = *hash;
    for bit in rand::seq::index::sample(rng, 256, bits) {
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    flipped
}

/// Returns the number of differing bits.
#[must_use]
pub fn distance(one: &PdqHash, other: &PdqHash) -> u32 {
    one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum()
}

/// Returns an item with these hashes.
pub fn item(hashes: impl Into<Vec<Hash>>) -> anyhow::Result<ItemContent> {
    Ok(ItemDraft { hashes: hashes.into(), ..ItemDraft::default() }.try_into()?)
}

/// Returns an item with the fingerprints of an image file.
pub fn image_item(file: &[u8]) -> anyhow::Result<ItemContent> {
    item(vigie_media::fingerprint(file, &Limits::default())?.banked_hashes())
}

/// Returns the hash types of the digests that are computed of every file.
#[must_use]
pub fn digest_types() -> Vec<HashType> {
    vigie_media::digest::digests(b"").iter().map(Hash::hash_type).collect()
}

/// Returns the number of hashes under which a picture with enough detail is banked: PDQ and every digest.
#[must_use]
pub fn hashes_of_a_picture() -> usize {
    1 + digest_types().len()
}

/// Returns a query of these hashes.
#[must_use]
pub fn hashed(hashes: impl IntoIterator<Item = Hash>) -> Content {
    let hashes = hashes.into_iter().map(|hash| QueryHash { hash, variant: Variant::Original }).collect();
    Content::Hashed { hashes, pdq_quality: None }
}

/// Returns a query of one PDQ hash.
#[must_use]
pub fn pdq(hash: PdqHash) -> Content {
    hashed([Hash::pdq(hash)])
}

/// Returns a call with these contents and options, and nothing else.
pub fn call(contents: Vec<Content>, options: SearchOptions) -> MatchCall {
    MatchCall { contents, options, quality_floor: None, surface: Box::default(), classifiers: Vec::new() }
}
