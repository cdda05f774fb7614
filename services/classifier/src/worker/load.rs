//! From an order to a session, in a process without rights.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use vigie_proto::pb::classifier::v1 as pb;
use vigie_sandbox::{Posture, Profile, lock_down, thread_count};

use super::{Runtime, Session};
use crate::wire::{WORDS_BYTES_MAX, posture, shapes, tensor};

/// The longest order, in bytes: two paths and the trial inputs, which are a picture at most.
pub(super) const ORDER_BYTES_MAX: usize = 65 << 20;

/// Returns a failure with the runtime's text, cut to the longest length.
pub(super) fn failure(kind: pb::FailureKind, words: &str) -> pb::Failure {
    let end = words.floor_char_boundary(WORDS_BYTES_MAX);
    let message = words.get(..end).unwrap_or_default().to_owned();
    pb::Failure { kind: kind.into(), message }
}

/// Opens the library, reads the model, gives up all rights, and loads the model.
pub(super) fn load<R: Runtime>(
    order: &pb::LoadRequest,
    tensor_bytes_max: usize,
) -> Result<(Box<dyn Session>, pb::Loaded), pb::Failure> {
    let mut runtime = R::open(Path::new(&order.library))?;
    // The rights of a thread that already runs cannot be removed.
    if thread_count().is_some_and(|threads| threads != 1) {
        return Err(failure(pb::FailureKind::Library, "it has started threads"));
    }
    let model = read(Path::new(&order.model), order.model_bytes_max)?;
    if Sha256::digest(&model).as_slice() != order.model_sha256 {
        return Err(failure(pb::FailureKind::Digest, ""));
    }
    let protection = lock_down(Profile::Classifier { memory_bytes_max: order.memory_bytes_max });
    if order.is_full_posture_required && protection != Posture::Full {
        return Err(failure(pb::FailureKind::Unprotected, protection.name()));
    }
    let mut session = runtime.load(&model)?;
    drop(model);
    let trial_outputs = if order.trial_inputs.is_empty() {
        Vec::new()
    } else {
        let inputs = order.trial_inputs.iter().map(tensor).collect::<Option<_>>();
        session.run(inputs.ok_or_else(|| failure(pb::FailureKind::Run, ""))?, tensor_bytes_max)?
    };
    let shape = session.shape();
    let loaded = pb::Loaded {
        posture: posture(protection).into(),
        inputs: shapes(&shape.inputs),
        outputs: shapes(&shape.outputs),
        trial_outputs,
    };
    Ok((session, loaded))
}

/// Reads a file of at most `bytes_max` bytes.
fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, pb::Failure> {
    let failed = |error: std::io::Error| failure(pb::FailureKind::ModelFile, &error.to_string());
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let too_large = || failure(pb::FailureKind::ModelFile, "it is larger than a model may be");
    if length > bytes_max {
        return Err(too_large());
    }
    let mut content = Vec::with_capacity(usize::try_from(length).map_err(|_| too_large())?);
    // The file may have grown since its size was read, or it may be a pipe.
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= bytes_max) {
        Ok(content)
    } else {
        Err(too_large())
    }
}
