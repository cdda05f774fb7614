//! Pictures that the program `ffmpeg` decodes and a decoder process hashes.

use prost::Message as _;
use vigie_media::{HashedPicture, Outside};
use vigie_proto::decoder::{self, Decoded};

use super::child::Stopped;
use super::failure::{DecoderError, WorkerDeath};
use super::ffmpeg::{Run, RunFault, Tool, Unpassed, missing, without_decoder};
use super::{Decoder, Task, outcome};

impl Decoder {
    /// Decodes a picture with `ffmpeg`, and hashes its pixels in a decoder process.
    pub(super) fn hash_outside(
        &mut self,
        task: &Task<'_>,
        outside: &Outside,
    ) -> Result<HashedPicture, DecoderError> {
        let tool = self.ffmpeg.tool(&self.settings);
        self.metrics.decodes(tool.as_ref().map_or(&[], |tool| &tool.decoders));
        let tool = tool.map_err(|absence| DecoderError::Decode(missing(outside.coding, &absence)))?;
        let Some(name) = tool.decoder(outside.coding) else {
            return Err(DecoderError::Decode(without_decoder(outside.coding, &tool)));
        };
        self.metrics.ran();
        let run = Run::decode(&self.settings, &tool, name, outside, task.content, task.bounds);
        let run = run.map_err(|fault| self.fault(fault, outside, &tool))?;
        self.pass_on(run, outside, &tool, task)
    }

    /// Passes the pixels of a run to a decoder process.
    fn pass_on(
        &mut self,
        mut run: Run,
        outside: &Outside,
        tool: &Tool,
        task: &Task<'_>,
    ) -> Result<HashedPicture, DecoderError> {
        let &Task { limits, ways, forms, bounds, .. } = task;
        // A decoder process that waits for pixels that never come cannot be used again, so the first pixels
        // are awaited before it gets the request.
        if let Err(unpassed) = run.begun(&outside.mosaic) {
            return Err(self.unpassed(run, unpassed, outside, tool));
        }
        self.pause(bounds.deadline)?;
        let process = self.running().map_err(DecoderError::Start)?;
        let answered_before = process.answered();
        let head = decoder::pixels_request(&outside.mosaic, &limits, ways, forms).encode_to_vec();
        let passed = process.begin(&head, bounds).map_err(Unpassed::Sink).and_then(|mut exchange| {
            run.pixels(&outside.mosaic, |pixels| exchange.send(pixels))?;
            exchange.answer(decoder::answer_bytes_max(forms)).map_err(Unpassed::Sink)
        });
        let answer = match passed {
            Ok(answer) => outcome(&answer, task),
            Err(Unpassed::Sink(stopped)) => Err(stopped),
            Err(unpassed) => {
                // The process has received a part of the pixels.
                if let Some(process) = self.process.take() {
                    process.retire();
                    self.metrics.retired();
                }
                return Err(self.unpassed(run, unpassed, outside, tool));
            }
        };
        // The answer to pixels must be a picture or a failure.
        let answer = match answer {
            Ok(Ok(Decoded::Outside(_))) => Err(Stopped::Malformed),
            answer => answer,
        };
        let outcome = self.conclude(answer, answered_before)?;
        // The program may have found a fault after it had written all pixels.
        run.finish().map_err(|fault| self.fault(fault, outside, tool))?;
        match outcome.map_err(DecoderError::Decode)? {
            Decoded::Picture(picture) => Ok(picture),
            Decoded::Outside(_) => Err(WorkerDeath::Crashed.into()),
        }
    }

    fn unpassed(&self, run: Run, unpassed: Unpassed, outside: &Outside, tool: &Tool) -> DecoderError {
        let fault = match unpassed {
            Unpassed::OtherSize => RunFault::OtherSize,
            Unpassed::Run(stopped) | Unpassed::Sink(stopped) => run.end(stopped),
        };
        self.fault(fault, outside, tool)
    }

    fn fault(&self, fault: RunFault, outside: &Outside, tool: &Tool) -> DecoderError {
        self.metrics.run_failed(fault);
        fault.error(outside.coding, tool)
    }
}
