//! The sections of a segment's file.

use crate::rows::segment_file::SectionId;

pub(super) const HASHES: SectionId = SectionId(1);
pub(super) const ITEMS: SectionId = SectionId(2);
pub(super) const BANKS: SectionId = SectionId(3);
pub(super) const BANK_LIST: SectionId = SectionId(4);
pub(super) const PREFIXES: SectionId = SectionId(5);
pub(super) const DIRECTORY: SectionId = SectionId(6);
pub(super) const SIGNATURES: SectionId = SectionId(7);
pub(super) const IDS: SectionId = SectionId(8);
