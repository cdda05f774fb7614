//! Reports of suspected material, as far as a decision fills them.
//!
//! Two receivers are known: NCMEC's CyberTipline, whose `fileDetails` Vigie can write in part, and the proposed regulation
//! COM(2022) 209, of whose Annex III Vigie knows three sections. The platform adds the rest: [`Suspected::missing`] lists it.
//!
//! - A match alone is not a view: `fileViewedByEsp` is true only where a person looked at the whole file.
//! - No element says "matched list X", so `additionalInfo` does.
//! - A perceptual hash is a name and a value in `details`. `originalFileHash` holds digests of the uploaded bytes alone.
//! - `industryClassification` is filled only from a list that uses this very taxonomy, ncmec.
//! - Vigie gives no name, address or other data of a person: it has none.

mod digest;
mod report;
mod missing;
mod xml;
#[cfg(test)]
mod tests;

pub use digest::{DigestError, DigestType, FileDigest};
pub use missing::Missing;
pub use report::{MatchedHash, Suspected};
