//! Tiny ONNX models, made in memory: their weights are the tests' own, and a test can compute their outputs
//! by hand.
//!
//! Reading order: [`LinearImage`] and [`LinearText`], then `onnx`, the part of the file format that they
//! need.

mod onnx;

use onnx::{FLOAT, Gemm};

/// A model of pictures: the mean of each channel, and a linear layer over the means.
///
/// Input `image`, 32-bit floats of `[-1, 3, height, width]`; output `scores`, `[-1, classes]`. The score of
/// class `c` is `bias[c] + sum over channels k of weights[c][k] * mean[k]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearImage {
    /// The height of a picture, in pixels.
    pub height: u32,
    /// The width of a picture, in pixels.
    pub width: u32,
    /// The weight of each channel, for each class.
    pub weights: Vec<[f32; 3]>,
    /// The bias of each class.
    pub bias: Vec<f32>,
}

impl LinearImage {
    /// Returns the model's file.
    #[must_use]
    pub fn file(&self) -> Vec<u8> {
        let gemm = Gemm::new("means", "scores", &self.weights, &self.bias);
        let mean = onnx::node("ReduceMean", &["image"], &["means"])
            .with(onnx::integers("axes", &[2, 3]))
            .with(onnx::integer("keepdims", 0));
        let input = onnx::value("image", FLOAT, &[-1, 3, i64::from(self.height), i64::from(self.width)]);
        onnx::file(vec![mean, gemm.node], vec![gemm.weights, gemm.bias], input, gemm.output)
    }

    /// Returns the score of each class for one picture, whose values are given channel after channel as in
    /// the input.
    #[must_use]
    pub fn scores(&self, values: &[f32]) -> Vec<f64> {
        let mean = |channel: &[f32]| {
            channel.iter().map(|&value| f64::from(value)).sum::<f64>()
                / (f64::from(self.height) * f64::from(self.width))
        };
        let means: Vec<f64> = values.chunks(values.len() / 3).map(mean).collect();
        linear(&self.weights, &self.bias, &means)
    }
}

/// A model of texts: a linear layer over the share of each byte.
///
/// Input `counts`, 32-bit floats of `[-1, 256]`; output `scores`, `[-1, classes]`. The score of class `c` is
/// `bias[c] + sum over bytes b of weights[c][b] * counts[b]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearText {
    /// The weight of each byte, for each class.
    pub weights: Vec<[f32; 256]>,
    /// The bias of each class.
    pub bias: Vec<f32>,
}

impl LinearText {
    /// Returns the model's file.
    #[must_use]
    pub fn file(&self) -> Vec<u8> {
        let gemm = Gemm::new("counts", "scores", &self.weights, &self.bias);
        let input = onnx::value("counts", FLOAT, &[-1, 256]);
        onnx::file(vec![gemm.node], vec![gemm.weights, gemm.bias], input, gemm.output)
    }

    /// Returns the score of each class for one text.
    #[must_use]
    pub fn scores(&self, counts: &[f32]) -> Vec<f64> {
        let counts: Vec<f64> = counts.iter().copied().map(f64::from).collect();
        linear(&self.weights, &self.bias, &counts)
    }
}

fn linear<const N: usize>(weights: &[[f32; N]], bias: &[f32], values: &[f64]) -> Vec<f64> {
    let score = |(row, &bias): (&[f32; N], &f32)| {
        row.iter().zip(values).map(|(&weight, value)| f64::from(weight) * value).sum::<f64>()
            + f64::from(bias)
    };
    weights.iter().zip(bias).map(score).collect()
}
