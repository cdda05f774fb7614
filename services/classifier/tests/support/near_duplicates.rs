//! Copies that PDQ misses, found by an embedding: the features that a model of pictures computes before its
//! last layer.
//!
//! The model is open-nsfw, which was trained for another purpose: it is a substitute for an operator's own
//! embedding model. Its features become an output by appending a second message of the format to the file:
//! readers of protobuf merge the two.

use std::path::PathBuf;

use prost::Message as _;
use vigie_classifier::{Engine as _, OnnxEngine};
use vigie_classifiers::preprocessing::{Element, Filter, Layout, Order, Resize};
use vigie_classifiers::{ImageInput, RgbPicture, Tensor, TensorData};
use vigie_hashes::PdqHash;
use vigie_media::{Limits, Ways};
use vigie_pictures::{Alteration, draw, encode_png};

use crate::library;
use crate::support::{MODEL, engine, later, model, settings};

/// The number of pictures that are altered, and of other pictures.
const ORIGINALS: u64 = 12;
const PICTURES: u64 = 200;
/// PDQ's usual distance.
const PDQ_WITHIN: u32 = 31;

/// The ONNX fields that add an output of the element type `float`.
#[derive(Clone, PartialEq, prost::Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Graph {
    #[prost(message, repeated, tag = "12")]
    output: Vec<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Kind {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorKind>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TensorKind {
    #[prost(int32, tag = "1")]
    element: i32,
}

/// Returns the model with the tensor of this name as an additional output.
fn with_output(file: &[u8], name: &str) -> Vec<u8> {
    let kind = Some(Kind { tensor: Some(TensorKind { element: 1 }) });
    let more = Model { graph: Some(Graph { output: vec![Value { name: name.to_owned(), kind }] }) };
    [file, &more.encode_to_vec()].concat()
}

/// The input is resized to 256 pixels and cut to the middle 224; blue, green and red less their means.
const INPUT: ImageInput = ImageInput {
    width: 224,
    height: 224,
    resize: Resize::CoverThenCrop { resize_to: 256 },
    filter: Filter::Bilinear,
    order: Order::Bgr,
    mean: [104.0, 117.0, 123.0],
    scale: [1.0; 3],
    layout: Layout::Nhwc,
    element: Element::F32,
};

/// A picture as seen by the model and by PDQ.
struct Seen {
    features: Vec<f32>,
    /// Hashes in every way and variant.
    pdq: Vec<PdqHash>,
}

async fn seen(engine: &OnnxEngine, file: &[u8]) -> Seen {
    let picture = image::load_from_memory(file).unwrap().to_rgb8();
    let rgb = RgbPicture::new(picture.width(), picture.height(), picture.into_raw()).unwrap();
    let input = INPUT.prepare("input:0", &rgb).unwrap();
    let outputs = engine.run(MODEL, vec![input], later()).await.unwrap();
    let features = outputs.iter().find(|output| output.name() == "Reshape:0").map(Tensor::data);
    let Some(TensorData::F32(numbers)) = features else { panic!("{outputs:?}") };
    let hashed = vigie_media::picture(file, &Limits::default(), Ways::default()).unwrap();
    let pdq = hashed.first.ways().flat_map(|(_, hashes)| hashes.pdq).collect();
    Seen { features: vigie_hashes::vectors::of_length_one(numbers).unwrap(), pdq }
}

/// Returns one minus the cosine similarity.
fn apart(one: &Seen, other: &Seen) -> f32 {
    1.0 - one.features.iter().zip(&other.features).map(|(one, other)| one * other).sum::<f32>()
}

fn bits(known: &Seen, asked: &Seen) -> u32 {
    let differing = |one: &[u8], other: &[u8]| one.iter().zip(other).map(|(a, b)| (a ^ b).count_ones()).sum();
    asked.pdq.iter().map(|pdq| differing(&known.pdq[0], pdq)).min().unwrap()
}

#[tokio::test]
#[ignore = "a measurement"]
async fn near_duplicates() {
    let Some(library) = library() else { return };
    let Some(models) = std::env::var_os("VIGIE_MODELS") else {
        println!("SKIPPED: VIGIE_MODELS does not name a folder with open-nsfw.onnx");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::read(PathBuf::from(models).join("open-nsfw.onnx")).unwrap();
    let engine = engine(&settings(&library), model(folder.path(), &with_output(&file, "Reshape:0")));
    let mut all = Vec::new();
    for seed in 0..PICTURES {
        all.push(seen(&engine, &encode_png(&draw(seed, 640, 480))).await);
    }
    let mut unrelated: Vec<f32> = (0..all.len())
        .flat_map(|one| all[..one].iter().map(move |other| (one, other)))
        .map(|(one, other)| apart(&all[one], other))
        .collect();
    unrelated.sort_unstable_by(f32::total_cmp);
    let count = unrelated.len();
    let (strict, loose) = (unrelated[0].next_down(), unrelated[count / 1_000].next_down());
    println!("{count} pairs of unrelated pictures: none within {strict:.4}, 1 in 1,000 within {loose:.4}");
    println!(
        "| copy | PDQ within 31 bits | embedding within {strict:.3} | within {loose:.3} | its distance, median (range) |"
    );
    println!("|---|---|---|---|---|");
    for alteration in Alteration::RECALL {
        let (mut pdq, mut by_strict, mut by_loose) = (0, 0, 0);
        let mut distances = Vec::new();
        for seed in 0..ORIGINALS {
            let copy = alteration.apply(&draw(seed, 640, 480));
            let copy = seen(&engine, &copy).await;
            let known = &all[usize::try_from(seed).unwrap()];
            let distance = apart(known, &copy);
            pdq += u32::from(bits(known, &copy) <= PDQ_WITHIN);
            by_strict += u32::from(distance <= strict);
            by_loose += u32::from(distance <= loose);
            distances.push(distance);
        }
        distances.sort_unstable_by(f32::total_cmp);
        let (least, middle, most) =
            (distances[0], distances[distances.len() / 2], distances[distances.len() - 1]);
        println!(
            "| {} | {pdq} of {ORIGINALS} | {by_strict} | {by_loose} | {middle:.3} ({least:.3}-{most:.3}) |",
            alteration.name()
        );
    }
}
