//! A classifier process for tests: with the runtime of this build, or, if the library is called `fake`, with
//! a runtime whose behaviour is set by its input.

#![expect(clippy::unwrap_used, reason = "it is for tests")]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vigie_classifier::worker::{Installed, Runtime, Session, run_with};
use vigie_classifier::{ElementType, ModelShape, TensorShape};
use vigie_classifiers::{Tensor, TensorData};
use vigie_proto::pb::classifier::v1 as pb;

fn main() -> ExitCode {
    run_with::<Either>(std::env::args_os().skip(1)).unwrap_or(ExitCode::FAILURE)
}

enum Either {
    Fake,
    Installed(Installed),
}

impl Runtime for Either {
    fn open(library: &Path) -> Result<Self, pb::Failure> {
        if library.ends_with("fake") { Ok(Self::Fake) } else { Installed::open(library).map(Self::Installed) }
    }

    fn load(&mut self, model: &[u8]) -> Result<Box<dyn Session>, pb::Failure> {
        match self {
            Self::Fake if model == b"model" => Ok(Box::new(Fake)),
            Self::Fake => {
                let message = "it is no model".to_owned();
                Err(pb::Failure { kind: pb::FailureKind::Model.into(), message })
            }
            Self::Installed(installed) => installed.load(model),
        }
    }
}

/// A model of one text, whose score is the text's length.
struct Fake;

fn output(dimensions: &[i64], element: pb::ElementType, data: Vec<u8>) -> pb::Tensor {
    let (name, dimensions) = ("scores".to_owned(), dimensions.to_vec());
    pb::Tensor { shape: Some(pb::TensorShape { name, element: element.into(), dimensions }), data }
}

impl Session for Fake {
    fn shape(&self) -> ModelShape {
        let shape =
            |name: &str, element, dimensions| TensorShape { name: name.to_owned(), element, dimensions };
        ModelShape {
            inputs: vec![shape("text", ElementType::Text, vec![-1])],
            outputs: vec![shape("scores", ElementType::F32, vec![-1])],
        }
    }

    fn run(&mut self, inputs: Vec<Tensor>, _: usize) -> Result<Vec<pb::Tensor>, pb::Failure> {
        let TensorData::Text(texts) = inputs[0].data() else { panic!("a text is wanted") };
        let float = pb::ElementType::F32;
        let score = |score: f32| score.to_le_bytes().to_vec();
        Ok(vec![match texts[0].as_str() {
            "abort" => std::process::abort(),
            "panic" => panic!("secret"),
            "hang" => loop {
                std::hint::spin_loop();
            },
            "slow" => {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(300) {
                    std::hint::spin_loop();
                }
                output(&[1], float, score(0.5))
            }
            "open" => {
                let opened = std::fs::File::open("/etc/passwd");
                output(&[1], float, score(if opened.is_ok() { 1.0 } else { 0.0 }))
            }
            "allocate" => {
                let bytes = vec![1_u8; 4 << 30];
                output(&[1], float, score(f32::from(std::hint::black_box(bytes)[7])))
            }
            "fail" => return Err(pb::Failure { kind: pb::FailureKind::Run.into(), message: String::new() }),
            "large" => {
                return Err(pb::Failure { kind: pb::FailureKind::Output.into(), message: String::new() });
            }
            "odd" => {
                return Err(pb::Failure { kind: pb::FailureKind::Digest.into(), message: String::new() });
            }
            "nan" => output(&[1], float, score(f32::NAN)),
            "short" => output(&[2], float, score(0.5)),
            "long" => output(&[1], float, vec![0; 8]),
            "negative" => output(&[-1], float, score(0.5)),
            "overflow" => output(&[1 << 62], float, score(0.5)),
            "type" => output(&[1], pb::ElementType::I32, score(0.5)),
            "huge" => output(&[5 << 20], float, vec![0; 20 << 20]),
            "names" => {
                let mut other = output(&[1], float, score(0.5));
                other.shape.as_mut().unwrap().name = "secret".to_owned();
                other
            }
            text => {
                let length = u16::try_from(text.len()).unwrap();
                output(&[1], float, score(f32::from(length)))
            }
        }])
    }
}
