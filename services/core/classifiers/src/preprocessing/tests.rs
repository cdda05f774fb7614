//! Pictures against Pillow, and against values computed by hand.

mod pictures;
mod conversations;
