//! The header of a PPM picture with 8 bits a sample, as the program writes it: `P6`, width, height and 255,
//! in lines.

use std::io::Read;
use std::os::fd::AsFd;

use vigie_sandbox::pipes::read_exact;

use crate::decoder::child::Stopped;
use crate::decoder::watch::Watch;

/// The longest header: two numbers of ten digits.
const HEAD_BYTES_MAX: usize = 32;
const LINES: usize = 3;

/// Reads a header, and no byte beyond it. Returns width and height.
pub(super) fn read_size(mut stdout: impl Read + AsFd, watch: &mut Watch) -> Result<(u32, u32), Stopped> {
    let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
    while head.iter().filter(|&&byte| byte == b'\n').count() < LINES {
        if head.len() == HEAD_BYTES_MAX {
            return Err(Stopped::Malformed);
        }
        let mut byte = [0];
        read_exact(&mut stdout, &mut byte, watch)?;
        head.extend(byte);
    }
    size(&head).ok_or(Stopped::Malformed)
}

fn size(head: &[u8]) -> Option<(u32, u32)> {
    let head = std::str::from_utf8(head).ok()?.strip_prefix("P6\n")?.strip_suffix("\n255\n")?;
    let (width, height) = head.split_once(' ')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_three_lines() {
        assert_eq!(size(b"P6\n640 480\n255\n"), Some((640, 480)));
        for other in ["P5\n640 480\n255\n", "P6\n640 480\n65535\n", "P6\n640\n255\n", "P6\n-1 2\n255\n", ""] {
            assert_eq!(size(other.as_bytes()), None, "{other}");
        }
    }
}
