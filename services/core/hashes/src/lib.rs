//! The table of hash types, and the hash: one fingerprint of one of these types.
//!
//! The crate defines the table of hash types and `Hash`, one fingerprint of one of these types.
//!
//! A hash type is a row of the table in [`rows`]: its number, name, lengths, text forms, metric and
//! distances. Everything else in the workspace is derived from the row: parsing and printing, protocol
//! messages, indexes, files, digests, counts and the command line. To add a type, add one row, and a hasher
//! in `vigie-media` if Vigie computes the type. Vector types have no row in the table: a deployment declares
//! them ([`declared`]).
//!
//! Always true:
//!
//! - A number names one type permanently. Digests, files and messages hold the number.
//! - A [`HashType`] may have no row: a newer process may know more types. A hash of such a type is kept,
//!   counted and forwarded as its number and its bytes (at most [`Hash::LEN_MAX`]), and is not searched.
//! - A hash is sensitive, because it can be partly inverted. No type here prints one by accident: `Debug`
//!   shows the type only, and the digits are written only by [`Hash::to_text`] and [`Hash::to_line`].
//!
//! Reading order: [`table`], [`rows`], [`vectors`], [`declared`], [`lookup`], [`set`], [`hash`](mod@hash),
//! [`frames`], [`hex`].

pub mod table;
pub mod rows;
pub mod lookup;
pub mod set;
pub mod hash;
pub mod vectors;
pub mod declared;
pub mod frames;
pub mod hex;

pub use declared::{Declaration, DeclarationError};
pub use frames::distinct::{DistinctFrames, TimeLeft};
pub use frames::{FRAME_BYTES, Frame, Frames, FramesError, PdqHash};
pub use hash::{Hash, HashError, Md5Hash, Sha256Hash};
pub use lookup::UnknownHashType;
pub use set::HashTypeSet;
pub use table::{Distance, HashType, Lengths, Metric, Row, TextForm};
pub use vectors::{PARTS_OF_ONE, VECTOR_ELEMENTS_MAX, VectorClass, VectorElement, VectorFault, VectorMetric};
