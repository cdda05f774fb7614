//! Messages on a pipe: the length in four bytes, little-endian, and the message.

use std::io::{ErrorKind, Read, Write};

use super::WorkerError;

/// Reads a message of at most `bytes_max` bytes. `None` at the end of the input.
pub(super) fn read(input: &mut impl Read, bytes_max: usize) -> Result<Option<Vec<u8>>, WorkerError> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| WorkerError::Malformed)?;
    if length > bytes_max {
        return Err(WorkerError::Malformed);
    }
    let mut message = vec![0; length];
    input.read_exact(&mut message)?;
    Ok(Some(message))
}

/// Writes a message.
pub(super) fn write(output: &mut impl Write, message: &[u8]) -> Result<(), WorkerError> {
    let length = u32::try_from(message.len()).map_err(|_| WorkerError::Malformed)?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(message)?;
    output.flush()?;
    Ok(())
}
