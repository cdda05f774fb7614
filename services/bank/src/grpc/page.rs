//! Pages of items, bounded by their bytes.

use prost::Message;

/// The most bytes of the items of one page: gRPC clients refuse an answer of more than 4 MB by default.
pub(super) const PAGE_BYTES_MAX: usize = 3 << 20;
/// The most bytes of an item of usual size, of which one page holds many: 64 hashes of 64 bytes and 32
/// labels, at their bounds.
pub(super) const ITEM_BYTES: usize = 10 << 10;

/// The most bytes of one item: 4,096 frames of a video of 36 bytes, 63 other hashes, and labels, at their
/// bounds.
const LONG_ITEM_BYTES: usize = 192 << 10;

/// The most bytes of a page whose caller does not support truncated pages: the items of [`ITEM_BYTES`] that a
/// page may have. If items are longer, the call is refused.
pub(super) const WHOLE_PAGE_BYTES_MAX: usize = 12 << 20;

/// Returns the bytes to reserve for a page of at most `items` items, each of which may be a video
/// ([`LONG_ITEM_BYTES`]), and of at most `bytes_max` bytes.
pub(super) fn room_of(items: u16, bytes_max: usize) -> usize {
    (usize::from(items) * ITEM_BYTES).max(LONG_ITEM_BYTES).min(bytes_max.max(LONG_ITEM_BYTES))
}

/// Takes messages up to the page's bound, at least one; returns them, their bytes, and whether there are
/// more.
pub(super) fn first_of<M: Message>(
    items: impl Iterator<Item = M>,
    bytes_max: usize,
) -> (Vec<M>, usize, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for item in items {
        // The message with its tag and its length.
        let more = item.encoded_len() + 5;
        if !page.is_empty() && bytes + more > bytes_max {
            return (page, bytes, true);
        }
        bytes += more;
        page.push(item);
    }
    (page, bytes, false)
}
