//! What the records of all programmes have in common.
//!
//! - [`record`]: one record: its key, hashes, labels, opinions, or its withdrawal;
//! - [`key`]: the key by which a later record replaces an earlier one;
//! - [`hash_text`]: a hash as a programme wrote it, and its reading;
//! - [`foreign`]: what a record says that an item has no field for, as JSON;
//! - [`said`]: what the programme's members say of a record, as one opinion;
//! - [`fault`]: why a page cannot be read, and the count of what was left out of one that can.

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
