//! Palettes as Pillow reads them.

/// Red, green and blue of each index.
pub(super) type Colours = [[u8; 3]; 256];

/// The colours of a picture without a palette: an index is a brightness.
pub(super) const GREYS: Colours = {
    let mut greys = [[0; 3]; 256];
    let mut grey = 0;
    while grey <= u8::MAX as usize {
        #[expect(clippy::cast_possible_truncation, reason = "0 to 255")]
        let level = grey as u8;
        greys[grey] = [level; 3];
        grey += 1;
    }
    greys
};

/// Returns the colour of each index. An index beyond the palette is black; entries after the 256th are
/// ignored.
pub(super) fn colours(palette: &[[u8; 3]]) -> Colours {
    let mut colours = [[0; 3]; 256];
    for (colour, entry) in colours.iter_mut().zip(palette) {
        *colour = *entry;
    }
    colours
}
