//! A decoder process: reads hostile images from standard input, hashes them, and answers on standard output.
//!
//! `vigie decode-worker` runs this code and nothing else. Decoding and hashing both happen here: a file comes
//! in, and hashes go out. Pixels leave the process only for a classifier, which gets the first frame, resized
//! to its model's input. The parent's side is `vigie_clients::decoder`.
//!
//! Always true:
//! - The process is locked down before it reads the first byte, and has one thread.
//! - The process writes nothing of an image except its answer: panics are silent, and there is no log.
//! - A protocol error ends the process. Its parent has the same version, so no other message is valid.
//!
//! `vigie program-worker` is the same for an external program, which decodes the formats that this process
//! cannot: the process locks itself down, greets, and becomes that program (`program`).
//!
//! Reading order: [`run_if_asked`], then `messages`, `program`.

mod messages;
mod program;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use prost::Message as _;
use thiserror::Error;
use vigie_media::Outside;
use vigie_media::outside::picture_of_pixels;
use vigie_model::{DecodeFailure, DecodeFailureKind};
use vigie_proto::decoder::{self, Decoded, Order};
use vigie_sandbox::{Profile, lock_down};

/// Decodes one file.
pub type Decode = fn(&[u8], &Order) -> Result<Decoded, DecodeFailure>;

/// The reason why a decoder process ended before the end of its input.
#[derive(Debug, Error)]
enum WorkerError {
    #[error("cannot read a request or write an answer")]
    Pipe(#[from] std::io::Error),
    #[error("a request is malformed")]
    Malformed,
}

/// Runs this process as a decoder process if its arguments, without the program's name, ask for it. Call it
/// before anything else, while the process has one thread.
#[must_use]
pub fn run_if_asked(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    run_with(arguments, decode)
}

/// Decodes a file, or reads the parts of it that an external program has to decode.
///
/// # Errors
/// [`DecodeFailure`], if the file is not an accepted picture.
pub fn decode(content: &[u8], order: &Order) -> Result<Decoded, DecodeFailure> {
    match Outside::read(content, &order.limits)? {
        Some(outside) => Ok(Decoded::Outside(outside)),
        None => {
            let Order { limits, ways, forms, .. } = order;
            Ok(Decoded::Picture(vigie_media::picture_in_forms(content, limits, *ways, forms)?))
        }
    }
}

/// Does the same with another decoder, for tests of the parent's side.
#[must_use]
pub fn run_with(arguments: impl IntoIterator<Item = OsString>, decode: Decode) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    let command = arguments.next()?;
    if command == decoder::PROGRAM_COMMAND {
        return Some(program::run(arguments));
    }
    if command != decoder::COMMAND {
        return None;
    }
    let memory_bytes_max = arguments.next().and_then(|bytes| bytes.to_str()?.parse().ok());
    let Some(memory_bytes_max) = memory_bytes_max else { return Some(ExitCode::FAILURE) };
    // Printing the place of a panic opens files, for which the lock-down kills the process; and the message
    // may quote the content.
    std::panic::set_hook(Box::new(|_| {}));
    let posture = lock_down(Profile::Decoder { memory_bytes_max });
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let worked = greet(output, posture).and_then(|output| work(input, output, decode));
    Some(if worked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn greet<W: Write>(mut output: W, posture: vigie_sandbox::Posture) -> Result<W, WorkerError> {
    output.write_all(&decoder::GREETING)?;
    messages::write(&mut output, &decoder::hello(posture).encode_to_vec())?;
    Ok(output)
}

/// Answers requests until the input ends.
fn work(mut input: impl Read, mut output: impl Write, decode: Decode) -> Result<(), WorkerError> {
    while let Some(request) = messages::read(&mut input, decoder::REQUEST_BYTES_MAX)? {
        let order = decoder_order(&request)?;
        let content = messages::read_content(&mut input, order.content_bytes)?;
        // The decoders catch their own panics; this catches panics in the code after them.
        let outcome =
            catch_unwind(AssertUnwindSafe(|| answer(content, &order, decode))).unwrap_or_else(|_| {
                let message =
                    "the decoder failed on this image: send a file that image viewers open without error";
                Err(DecodeFailure { kind: DecodeFailureKind::Panicked, message: message.to_owned() })
            });
        let answer = decoder::response(outcome);
        messages::write(&mut output, &answer.encode_to_vec())?;
    }
    Ok(())
}

fn answer(content: Vec<u8>, order: &Order, decode: Decode) -> Result<Decoded, DecodeFailure> {
    match &order.pixels {
        Some(mosaic) => {
            let Order { limits, ways, forms, .. } = order;
            Ok(Decoded::Picture(picture_of_pixels(content, mosaic, limits, *ways, forms)?))
        }
        None => decode(&content, order),
    }
}

fn decoder_order(request: &[u8]) -> Result<Order, WorkerError> {
    let message = vigie_proto::pb::decoder::v1::DecodeRequest::decode(request);
    message.ok().and_then(|message| Order::try_from(message).ok()).ok_or(WorkerError::Malformed)
}

#[cfg(test)]
mod tests;
