//! The types that the records of all programmes share.
//!
//! - [`record`]: one record: its key, hashes, labels, opinions, or its withdrawal;
//! - [`key`]: the key by which a later record replaces an earlier one;
//! - [`hash_text`]: a hash as a programme wrote it, and how it is read;
//! - [`foreign`]: the data of a record for which an item has no field, as JSON;
//! - [`said`]: the opinions of the programme's members on a record, combined into one;
//! - [`fault`]: the reasons why a page cannot be read, and the counts of what was left out.

pub mod fault;
pub mod foreign;
pub mod hash_text;
pub mod key;
pub mod media;
pub mod record;
pub mod said;

pub use fault::{Fault, PAGE_BYTES_MAX, Tally};
pub use hash_text::{HashText, Reading};
pub use key::{Key, KeyError};
pub use media::Media;
pub use record::{Opinion, OtherHash, Record, View};
