//! Messages on a pipe: the length in four bytes, little-endian, and the message.

use std::io::{ErrorKind, Read, Write};

use crate::WorkerError;

/// Reads a message of at most `bytes_max` bytes. `None` at the end of the input.
pub(crate) fn read(input: &mut impl Read, bytes_max: usize) -> Result<Option<Vec<u8>>, WorkerError> {
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
    read_content(input, length).map(Some)
}

/// Reads `length` bytes.
pub(crate) fn read_content(input: &mut impl Read, length: usize) -> Result<Vec<u8>, WorkerError> {
    let mut content = vec![0; length];
    input.read_exact(&mut content)?;
    Ok(content)
}

/// Writes a message.
pub(crate) fn write(output: &mut impl Write, message: &[u8]) -> Result<(), WorkerError> {
    let length = u32::try_from(message.len()).map_err(|_| WorkerError::Malformed)?;
    output.write_all(&[length.to_le_bytes().as_slice(), message].concat())?;
    output.flush()?;
    Ok(())
}
