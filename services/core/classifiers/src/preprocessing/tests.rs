//! Compares preprocessing with Pillow, and with values computed by hand.

mod pictures;
mod conversations;
