//! Reports of suspected material, filled as far as a decision allows.
//!
//! Two receivers are known: NCMEC's CyberTipline, whose `fileDetails` Vigie can write in part, and the
//! proposed regulation COM(2022) 209, whose Annex III has three sections that Vigie can fill. The platform
//! adds the rest: [`Suspected::missing`] lists it.
//!
//! - A match alone is not a view: `fileViewedByEsp` is true only if a person looked at the whole file.
//! - No element exists for the matched list, so `additionalInfo` names it.
//! - A perceptual hash is a name and a value in `details`. `originalFileHash` contains only digests of the
//!   uploaded bytes.
//! - `industryClassification` is filled only from a list that uses the same taxonomy, ncmec.
//! - Vigie provides no name, address or other data of a person, because it has none.

mod digest;
mod report;
mod missing;
mod xml;
#[cfg(test)]
mod tests;

pub use digest::{DigestError, DigestType, FileDigest};
pub use missing::Missing;
pub use report::{MatchedHash, Suspected};
