//! The command lines of `ffmpeg`.

use std::ffi::OsString;

use vigie_media::Outside;
use vigie_media::outside::{Coding, Meaning};

use super::input;
use super::tool::Tool;

/// Lists the decoders. The program also writes its version, on standard error.
pub(super) fn probe() -> Vec<OsString> {
    ["-nostdin", "-decoders"].into_iter().map(OsString::from).collect()
}

/// Decodes a picture with the decoder of this name.
///
/// The format of the file is given, so that no demuxer is chosen that opens other files or reads scripts. An
/// error of the decoder fails the run, so that no picture lacks a part. One thread decodes, so that one image
/// does not take the whole machine.
pub(super) fn decode(tool: &Tool, decoder: &str, outside: &Outside) -> Vec<OsString> {
    let format = match outside.coding {
        // The whole file is one picture.
        Coding::Jpeg2000 | Coding::JpegXl => ["-f", "image2", "-pattern_type", "none"].as_slice(),
        Coding::Hevc => ["-f", "hevc"].as_slice(),
    };
    let count = outside.mosaic.tiles().to_string();
    // Passes each picture on unchanged, whatever its time. Version 5.1 renamed the option, and later versions
    // dropped the old name.
    let as_they_are = if tool.has_fps_mode { "-fps_mode" } else { "-vsync" };
    let filter = scale(outside.meaning);
    [
        ["-nostdin", "-hide_banner", "-v", "error", "-xerror"].as_slice(),
        &["-protocol_whitelist", "file,pipe", "-threads", "1", "-err_detect", "explode"],
        format,
        &["-c:v", decoder, "-noautorotate", "-i", input::PATH],
        &["-map", "0:v:0", "-an", "-sn", "-dn", "-frames:v", &count, "-filter_threads", "1"],
        &["-vf", &filter, as_they_are, "passthrough", "-c:v", "ppm", "-threads", "1", "-pix_fmt", "rgb24"],
        &["-f", "image2pipe", "pipe:1"],
    ]
    .concat()
    .into_iter()
    .map(OsString::from)
    .collect()
}

/// Returns the filter that converts to RGB: chroma of the nearest sample, and exact rounding, as libheif and
/// OpenJPEG convert. The program's default differs by several bits of the hash if chroma has fewer samples.
fn scale(meaning: Option<Meaning>) -> String {
    let said = meaning.and_then(|Meaning { matrix, full_range }| {
        let range = if full_range { "pc" } else { "tv" };
        Some(format!(":in_color_matrix={}:in_range={range}", name(matrix)?))
    });
    format!("scale=flags=neighbor+full_chroma_int+accurate_rnd{},format=rgb24", said.unwrap_or_default())
}

/// Returns the program's name of a matrix. `None` if the choice is left to the coded data: for RGB, and for
/// conversions that need more than a matrix.
const fn name(matrix: u16) -> Option<&'static str> {
    Some(match matrix {
        1 => "bt709",
        4 => "fcc",
        // An unspecified matrix means BT.601, as in libheif.
        2 | 5 | 6 => "smpte170m",
        7 => "smpte240m",
        9 => "bt2020",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_that_is_no_sum_of_luma_and_chroma_is_left_to_the_program() {
        let of = |matrix, full_range| {
            let filter = scale(Some(Meaning { matrix, full_range }));
            filter.split_once(':').map(|(_, rest)| rest.to_owned())
        };
        assert_eq!(of(6, true).unwrap(), "in_color_matrix=smpte170m:in_range=pc,format=rgb24");
        assert_eq!(of(9, false).unwrap(), "in_color_matrix=bt2020:in_range=tv,format=rgb24");
        assert_eq!(of(0, true), None);
        assert_eq!(of(8, true), None);
        assert!(scale(None).ends_with("accurate_rnd,format=rgb24"));
    }
}
