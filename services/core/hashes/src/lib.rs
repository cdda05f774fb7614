//! The table of hash types, and the hash: one fingerprint of one of these types.
//!
//! A hash type is a row of the table in [`rows`]: its number, name, lengths, text forms, metric and distances. Everything
//! else in the workspace derives from the row: parsing and printing, protocol messages, indexes, files, digests, counts, the
//! command line. A new type is one row, and a hasher in `vigie-media` if Vigie computes it. Types of vectors have no row in the table: a deployment
//! declares them ([`declared`]).
//!
//! Always true:
//!
//! - A number names one type permanently. Digests, files and messages hold the number.
//! - A [`HashType`] may have no row: a newer process may know a type more. Such a hash is kept, counted and handed on as its
//!   number and its bytes, at most [`Hash::LEN_MAX`] of them, and is not searched.
//! - A hash is sensitive (it can be partly inverted), so no type here prints one by accident: `Debug` shows the type alone,
//!   and the digits come only from [`Hash::to_text`].
//!
//! Reading order: [`table`], [`rows`], [`vectors`], [`declared`], [`lookup`], [`set`], [`hash`](mod@hash), [`frames`], [`hex`].

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
