//! The command lines of `ffprobe` and `ffmpeg` for a video.

use std::ffi::OsString;

use vigie_media::video::{Container, Rate, Sampling};

use crate::decoder::ffmpeg::input;
use crate::decoder::ffmpeg::tool::Tool;

/// Frame numbers are below this. A frame number and the latest time together fit the 53 bits of the program's
/// arithmetic.
pub(super) const NUMBERS: u64 = 1 << 24;
/// The latest time that is passed on, in milliseconds: later than any time that is hashed.
const TIME_MS_MAX: u64 = 1 << 24;

/// The fields that are asked of `ffprobe`: none with a value that a file can choose freely.
const ENTRIES: &str = "stream=index,codec_type,width,height,avg_frame_rate,r_frame_rate,duration:stream_disposition=attached_pic:format=duration";

/// Lists the streams of the file.
pub(super) fn probe(container: Container) -> Vec<OsString> {
    let words = [
        ["-hide_banner", "-v", "error", "-protocol_whitelist", "file,pipe", "-threads", "1"].as_slice(),
        &["-f", container.demuxer(), "-show_entries", ENTRIES, "-of", "flat", "-i", input::PATH],
    ];
    words.concat().into_iter().map(OsString::from).collect()
}

/// Decodes the sampled frames, and writes them as RGB in Matroska blocks.
///
/// The demuxer is given, so that none is chosen that opens other files or reads scripts. One thread decodes,
/// so that one video does not take the whole machine. The filters are never reinitialised, so that numbers
/// and times continue when the size of frames changes: the scaler converts later frames to the first size.
pub(super) fn decode(
    tool: &Tool,
    container: Container,
    stream: u32,
    rate: Option<Rate>,
    sampling: Sampling,
) -> Vec<OsString> {
    // Version 5.1 renamed the option, and later versions dropped the old name.
    let as_they_are = if tool.has_fps_mode { "-fps_mode" } else { "-vsync" };
    let stream = format!("0:{stream}");
    let filter = filter(sampling, rate);
    let words = [
        ["-nostdin", "-hide_banner", "-v", "error", "-protocol_whitelist", "file,pipe"].as_slice(),
        &[
            "-threads",
            "1",
            "-reinit_filter",
            "0",
            "-noautorotate",
            "-f",
            container.demuxer(),
            "-i",
            input::PATH,
        ],
        &["-map", &stream, "-an", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"],
        &["-filter_threads", "1", "-vf", &filter, as_they_are, "passthrough", "-enc_time_base", "1:1000"],
        &["-c:v", "rawvideo", "-threads", "1", "-allow_raw_vfw", "1", "-f", "matroska", "pipe:1"],
    ];
    words.concat().into_iter().map(OsString::from).collect()
}

/// Assigns each frame its number and its time, selects the sampled frames, and converts them to RGB.
///
/// - Time and number are combined in one value: time in milliseconds x [`NUMBERS`] + number. A time that is
///   missing, or earlier than the one before, is replaced by that of the frame before. The blocks carry this
///   value.
/// - The conversion is that of vPDQ's reference, whose scaler gets only size and pixel format: the matrix of
///   BT.601 and the range of the pixel format, whatever the file declares of either, and chroma by area.
fn filter(sampling: Sampling, rate: Option<Rate>) -> String {
    let time = format!("st(0,max(ld(0),if(isnan(PTS),0,min(PTS,{TIME_MS_MAX}))))");
    let stamp = format!("{time}*{NUMBERS}+min(N,{})", NUMBERS - 1);
    let select = match sampling {
        Sampling::BySeconds(interval_ms) => {
            let interval = u64::from(interval_ms.max(1)) * NUMBERS;
            format!(
                "select='isnan(prev_selected_pts)+gt(floor(pts/{interval}),floor(prev_selected_pts/{interval}))',"
            )
        }
        Sampling::ByCount(seconds_per_hash) => {
            let frames = rate.map_or(1, |rate| rate.frames_in(seconds_per_hash));
            format!("select='not(mod(n,{frames}))',")
        }
        Sampling::Dense => String::new(),
    };
    format!(
        "settb=1/1000,setpts='{stamp}',{select}setparams=range=unspecified,scale=flags=area:in_color_matrix=bt601,format=rgb24"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_chosen_by_number_or_by_time() {
        let rate = Rate::new(30_000, 1_001);
        assert!(filter(Sampling::ByCount(1.0), rate).contains("select='not(mod(n,29))'"));
        assert!(filter(Sampling::ByCount(1.0), None).contains("select='not(mod(n,1))'"));
        assert!(filter(Sampling::BySeconds(1_000), rate).contains("floor(pts/16777216000)"));
        assert!(filter(Sampling::BySeconds(0), rate).contains("floor(pts/16777216)"));
        assert!(!filter(Sampling::Dense, rate).contains("select"));
        const { assert!(TIME_MS_MAX * NUMBERS + NUMBERS < 1 << 53) };
    }
}
