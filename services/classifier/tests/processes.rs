//! Processes that crash, hang, answer wrongly and are killed, and the engine that supervises them. No test
//! here needs ONNX Runtime.

#![expect(clippy::unwrap_used, reason = "it is a test")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use support::{MODEL, engine, later, model, settings};
use tokio::time::Instant;
use vigie_classifier::{
    Engine as _, EngineError, Lie, OnnxEngine, OnnxSettings, Refusal, ShapeFault, WorkerEnd,
};
use vigie_classifiers::{Tensor, TensorData};
use vigie_sandbox::Requirement;

/// Returns the folder of the model's file, and the engine.
fn fake(settings: &OnnxSettings) -> (tempfile::TempDir, OnnxEngine) {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(settings, model(folder.path(), b"model"));
    (folder, engine)
}

fn fake_settings() -> OnnxSettings {
    OnnxSettings { memory_bytes_max: 512 << 20, ..settings(Path::new("fake")) }
}

fn text(text: &str) -> Vec<Tensor> {
    vec![Tensor::new("text", &[1], TensorData::Text(vec![text.to_owned()])).unwrap()]
}

async fn run(engine: &OnnxEngine, input: &str) -> Result<f32, EngineError> {
    let outputs = engine.run(MODEL, text(input), later()).await?;
    let TensorData::F32(scores) = outputs[0].data() else { panic!("{outputs:?}") };
    Ok(scores[0])
}

/// Runs repeatedly while the engine has no process, because it pauses after some deaths.
async fn recovered(engine: &OnnxEngine) {
    let begun = Instant::now();
    loop {
        match run(engine, "hello").await {
            Ok(score) => {
                assert!((score - 5.0).abs() < f32::EPSILON);
                return;
            }
            Err(EngineError::Unavailable { retry_after: Some(after), .. }) => tokio::time::sleep(after).await,
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}

#[tokio::test]
async fn each_end_of_a_process_has_its_name_and_the_next_run_has_another_process() {
    let (_folder, engine) = fake(&fake_settings());
    recovered(&engine).await;
    for (input, end) in [
        ("abort", WorkerEnd::Crashed),
        ("panic", WorkerEnd::Crashed),
        ("allocate", WorkerEnd::OutOfMemory),
        ("odd", WorkerEnd::Malformed),
        ("huge", WorkerEnd::Malformed),
        #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
        ("open", WorkerEnd::RefusedCall),
    ] {
        let before = engine.process_ids();
        assert_eq!(run(&engine, input).await, Err(EngineError::Died(end)), "{input}");
        recovered(&engine).await;
        assert_ne!(engine.process_ids(), before, "{input}");
    }
}

#[tokio::test]
async fn a_run_that_takes_too_long_ends_its_process_and_the_next_one_has_another() {
    let run_within = Duration::from_secs(3);
    let (_folder, engine) = fake(&OnnxSettings { run_within, ..fake_settings() });
    recovered(&engine).await;
    let (before, begun) = (engine.process_ids(), Instant::now());
    assert_eq!(run(&engine, "hang").await, Err(EngineError::Died(WorkerEnd::Hung)));
    assert!(begun.elapsed() >= run_within);
    recovered(&engine).await;
    assert_ne!(engine.process_ids(), before);
}

#[tokio::test]
async fn each_lie_and_refusal_has_its_name_and_the_process_goes_on() {
    let (_folder, engine) = fake(&fake_settings());
    recovered(&engine).await;
    let process = engine.process_ids();
    let elements = |fault| EngineError::Lied(Lie::Elements { name: "scores".to_owned(), fault });
    let length = "another number of elements than its dimensions give";
    for (input, error) in [
        ("fail", EngineError::Refused(Refusal::Runtime)),
        ("large", EngineError::Refused(Refusal::Outputs)),
        ("nan", elements("a number that is not finite")),
        ("short", elements(length)),
        ("long", elements(length)),
        ("overflow", elements(length)),
        ("names", EngineError::Lied(Lie::Shape(ShapeFault::Missing("scores".to_owned())))),
    ] {
        assert_eq!(run(&engine, input).await, Err(error), "{input}");
    }
    for (input, words) in
        [("negative", "`scores` is [?] and not [?]"), ("type", "`scores` is INT32 and not FP32")]
    {
        let Err(EngineError::Lied(Lie::Shape(fault))) = run(&engine, input).await else { panic!("{input}") };
        assert_eq!(fault.to_string(), words);
    }
    recovered(&engine).await;
    assert_eq!(engine.process_ids(), process);
}

#[tokio::test]
async fn a_process_that_is_killed_in_a_run_fails_that_run_alone() {
    let (_folder, engine) = fake(&fake_settings());
    recovered(&engine).await;
    let engine = Arc::new(engine);
    let hanging = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { run(&engine, "hang").await }
    });
    let [process] = engine.process_ids().try_into().unwrap();
    // Waits until the run has begun: only a run takes so much processor time.
    let before = processor_ticks(process);
    while processor_ticks(process) < before + 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    kill(process);
    // The system sends the same signal when a machine has no memory.
    assert_eq!(hanging.await.unwrap(), Err(EngineError::Died(WorkerEnd::OutOfMemory)));
    recovered(&engine).await;
}

#[tokio::test]
async fn a_process_that_is_killed_between_runs_fails_none() {
    let (_folder, engine) = fake(&fake_settings());
    recovered(&engine).await;
    for _ in 0..3 {
        let [process] = engine.process_ids().try_into().unwrap();
        kill(process);
        // Waits until the process has ended and is a zombie.
        let state = || std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        while !state().rsplit_once(')').unwrap().1.trim_start().starts_with('Z') {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(run(&engine, "hello").await, Ok(5.0));
    }
}

/// Returns the processor time of a process, in steps of 10 ms.
fn processor_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name of the program is in brackets; `utime` and `stime` are the 12th and 13th fields after it.
    let fields = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Kills a process that the engine of this test started.
fn kill(process: u32) {
    let process = rustix::process::Pid::from_raw(process.try_into().unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_caller_leaves_at_its_deadline_and_the_process_stays() {
    let (_folder, engine) = fake(&fake_settings());
    recovered(&engine).await;
    let process = engine.process_ids();
    let soon = Instant::now() + Duration::from_millis(20);
    assert_eq!(engine.run(MODEL, text("slow"), soon).await, Err(EngineError::OutOfTime));
    let past = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
    assert_eq!(engine.run(MODEL, text("hello"), past).await, Err(EngineError::OutOfTime));
    recovered(&engine).await;
    assert_eq!(engine.process_ids(), process);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let waiting_max = 2;
    let (_folder, engine) = fake(&OnnxSettings { waiting_max, ..fake_settings() });
    recovered(&engine).await;
    let runs = futures::future::join_all((0..8).map(|_| run(&engine, "slow"))).await;
    let busy = runs.iter().filter(|run| **run == Err(EngineError::Busy { waiting_max })).count();
    let done = runs.iter().filter(|run| **run == Ok(0.5)).count();
    // The queue holds two runs, and the process takes some of them meanwhile.
    assert!(busy + done == 8 && busy >= 1 && done >= 2, "{runs:?}");
    recovered(&engine).await;
}

#[tokio::test]
async fn inputs_beyond_the_bound_are_refused_before_they_wait() {
    let (_folder, engine) = fake(&OnnxSettings { tensor_bytes_max: 1_000, ..fake_settings() });
    let long = engine.run(MODEL, text(&"x".repeat(1_000)), later()).await;
    assert_eq!(long, Err(EngineError::Inputs(ShapeFault::Bytes { bytes: 1_004, bytes_max: 1_000 })));
    let unknown = engine.run("another", text("hello"), later()).await;
    assert_eq!(unknown, Err(EngineError::UnknownModel("another".to_owned())));
    recovered(&engine).await;
}

async fn unavailable(
    settings: &OnnxSettings,
    alter: impl FnOnce(&mut vigie_classifier::OnnxModel),
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut model = model(folder.path(), b"model");
    alter(&mut model);
    let engine = engine(settings, model);
    // Describing, readiness and runs fail alike, and at once the second time.
    let error = engine.ready(MODEL, later()).await.unwrap_err();
    assert_eq!(error.name(), "unavailable");
    assert_eq!(run(&engine, "hello").await.unwrap_err().name(), "unavailable");
    let EngineError::Unavailable { reason, .. } = error else { panic!("{error}") };
    reason
}

#[tokio::test]
async fn a_process_that_cannot_be_had_is_explained() {
    let fake = fake_settings();
    let other = |model: &mut vigie_classifier::OnnxModel| model.sha256[0] ^= 1;
    let reason = unavailable(&fake, other).await;
    assert_eq!(reason, "the SHA-256 of the model's file is not the configured one");
    let missing = |model: &mut vigie_classifier::OnnxModel| model.file = "/nowhere/model.onnx".into();
    let reason = unavailable(&fake, missing).await;
    assert_eq!(reason, "cannot read the model's file: No such file or directory (os error 2)");
    let reason = unavailable(&OnnxSettings { model_bytes_max: 4, ..fake.clone() }, |_| ()).await;
    assert_eq!(reason, "cannot read the model's file: it is larger than a model may be");
    let reason = unavailable(&OnnxSettings { library: None, ..fake.clone() }, |_| ()).await;
    assert!(reason.contains("pip download --no-deps onnxruntime=="), "{reason}");
    let reason =
        unavailable(&OnnxSettings { program: Some("/nowhere".into()), ..fake.clone() }, |_| ()).await;
    assert_eq!(reason, "cannot run /nowhere: No such file or directory (os error 2)");
    let reason =
        unavailable(&OnnxSettings { program: Some("/bin/true".into()), ..fake.clone() }, |_| ()).await;
    assert!(reason.starts_with("/bin/true is not `vigie` of this version"), "{reason}");
    let reason = unavailable(
        &OnnxSettings {
            program: Some("/bin/cat".into()),
            start_within: Duration::from_millis(200),
            ..fake.clone()
        },
        |_| (),
    )
    .await;
    assert!(reason.starts_with("/bin/cat is not `vigie` of this version"), "{reason}");
    let no_model = |model: &mut vigie_classifier::OnnxModel| {
        use sha2::Digest as _;
        std::fs::write(&model.file, b"text").unwrap();
        model.sha256 = sha2::Sha256::digest(b"text").into();
    };
    assert_eq!(unavailable(&fake, no_model).await, "ONNX Runtime does not accept the model: it is no model");
    let installed = settings(Path::new("/nowhere/libonnxruntime.so"));
    let reason = unavailable(&installed, |_| ()).await;
    let expected = if cfg!(feature = "onnx") {
        "cannot open ONNX Runtime's library: "
    } else {
        "this build has no ONNX Runtime; build with --features onnx"
    };
    assert!(reason.starts_with(expected), "{reason}");
}

/// Where the kernel supports Landlock, the strictest requirement can be met.
#[tokio::test]
async fn full_protection_is_given_or_the_model_is_not_loaded() {
    let (_folder, engine) = fake(&OnnxSettings { requirement: Requirement::Required, ..fake_settings() });
    match engine.ready(MODEL, later()).await {
        Ok(()) => assert_eq!(run(&engine, "open").await, Err(EngineError::Died(WorkerEnd::RefusedCall))),
        Err(EngineError::Unavailable { reason, .. }) => {
            assert!(reason.ends_with("and sandbox = \"required\" asks for \"full\""), "{reason}");
        }
        Err(error) => panic!("{error}"),
    }
}
