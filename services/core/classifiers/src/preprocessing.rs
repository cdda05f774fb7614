//! Converts a picture or a conversation to the tensor form on which a model was trained.
//!
//! Most wrong scores are caused by preprocessing that differs from that of the training. So preprocessing is
//! declared with the model, implemented only here, and verified by the card's test vector.
//!
//! Reading order: `picture`, `form` (the geometry), `image` (the declaration), `resize`, `pixels` (from
//! pixels to numbers); `join` (conversations).

mod picture;
mod form;
mod image;
mod resize;
mod pixels;
mod join;
#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::fault::Faults;
use crate::tensor::TensorError;

pub use form::{Filter, PictureForm, Resize};
pub use image::{Element, ImageInput, Layout, Order};
pub use join::{ConversationForm, ConversationInput, DropFirst, Joined, Whole};
pub use picture::{PictureError, RgbPicture, RgbView};

/// The reason why an input gives no tensor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InputError {
    /// The declaration is out of its bounds.
    #[error("the declared input has faults")]
    Declared(#[source] Faults),
    /// The model reads content of the other kind.
    #[error("the model reads content of another kind")]
    Kind,
    /// The picture does not have the size that the model reads.
    #[error("the picture has {} x {} pixels; the model reads {} x {}", got.0, got.1, expected.0, expected.1)]
    Size {
        /// Width and height that the model reads.
        expected: (u32, u32),
        /// Width and height of the picture.
        got: (u32, u32),
    },
    /// The picture is so narrow that it would have too many pixels before it is cropped, or between the
    /// passes of the resize.
    #[error("a picture of {0} x {1} pixels is too narrow to be cropped to the model's input")]
    Narrow(u32, u32),
    /// The name or the bytes of the tensor are out of bounds.
    #[error("the input makes no tensor")]
    Tensor(#[source] TensorError),
}
