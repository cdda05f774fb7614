//! Converts pixels to the numbers of a tensor.

use super::InputError;
use super::image::{Element, ImageInput, Layout, Order};
use super::picture::{RgbPicture, pixels_of};
use crate::tensor::{Tensor, TensorData};

impl ImageInput {
    /// Returns the tensor of a picture of any size: [`Self::resize`], then [`Self::tensor`].
    pub fn prepare(&self, name: &str, picture: &RgbPicture) -> Result<Tensor, InputError> {
        self.tensor(name, &self.resize(picture)?)
    }

    /// Returns the tensor, with the name `name`, of a picture that already has the model's width and height.
    pub fn tensor(&self, name: &str, picture: &RgbPicture) -> Result<Tensor, InputError> {
        self.check().map_err(InputError::Declared)?;
        let (expected, got) = ((self.width, self.height), (picture.width(), picture.height()));
        if expected != got {
            return Err(InputError::Size { expected, got });
        }
        let (pixels, _) = picture.pixels().as_chunks::<3>();
        let (width, height) = (pixels_of(self.width), pixels_of(self.height));
        let shape = match self.layout {
            Layout::Nchw => [1, 3, height, width],
            Layout::Nhwc => [1, height, width, 3],
        };
        let data = match self.element {
            Element::F32 => TensorData::F32(self.arranged(pixels, |byte, channel| {
                (f32::from(byte) - self.mean[channel]) * self.scale[channel]
            })),
            Element::U8 => TensorData::U8(self.arranged(pixels, |byte, _| byte)),
        };
        Tensor::new(name, &shape, data).map_err(InputError::Tensor)
    }

    /// Returns the values of all bytes in the layout's order. `value` gets a byte and its channel in the
    /// tensor.
    fn arranged<T>(&self, pixels: &[[u8; 3]], value: impl Fn(u8, usize) -> T) -> Vec<T> {
        // The index of the colour in each channel.
        let colours = match self.order {
            Order::Rgb => [0, 1, 2],
            Order::Bgr => [2, 1, 0],
        };
        let mut values = Vec::with_capacity(pixels.len() * 3);
        match self.layout {
            Layout::Nchw => {
                for (channel, colour) in colours.into_iter().enumerate() {
                    values.extend(pixels.iter().map(|pixel| value(pixel[colour], channel)));
                }
            }
            Layout::Nhwc => {
                for pixel in pixels {
                    values.extend(
                        colours
                            .into_iter()
                            .enumerate()
                            .map(|(channel, colour)| value(pixel[colour], channel)),
                    );
                }
            }
        }
        values
    }
}
