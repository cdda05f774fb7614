//! The command line of a process that becomes an external program.

use std::ffi::OsString;
use std::path::PathBuf;

use vigie_sandbox::Requirement;

/// The hidden command of `vigie` that locks itself down and becomes another program. Before that, it sends
/// the greeting of a decoder process.
pub const PROGRAM_COMMAND: &str = "program-worker";

/// The program that a process becomes, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramOrder {
    /// The path of the program.
    pub program: PathBuf,
    /// The largest address space, in bytes.
    pub memory_bytes_max: u64,
    /// The longest processor time, in seconds.
    pub processor_time_s_max: u64,
    /// The required protection. If the process cannot have it, it does not become the program.
    pub requirement: Requirement,
    /// The program's arguments.
    pub arguments: Vec<OsString>,
}

const REQUIRED: &str = "required";
const BEST_EFFORT: &str = "best_effort";

impl ProgramOrder {
    /// Returns the arguments of `vigie`, without the name of the executable.
    #[must_use]
    pub fn into_arguments(self) -> Vec<OsString> {
        let requirement = match self.requirement {
            Requirement::Required => REQUIRED,
            Requirement::BestEffort | Requirement::Off => BEST_EFFORT,
        };
        let own = [
            PROGRAM_COMMAND.into(),
            self.memory_bytes_max.to_string().into(),
            self.processor_time_s_max.to_string().into(),
            requirement.into(),
            self.program.into_os_string(),
        ];
        own.into_iter().chain(self.arguments).collect()
    }

    /// Reads the arguments after [`PROGRAM_COMMAND`]; `None` if they are not valid.
    pub fn of_arguments(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut number = || arguments.next()?.to_str()?.parse().ok();
        let (memory_bytes_max, processor_time_s_max) = (number()?, number()?);
        let requirement = match arguments.next()?.to_str()? {
            REQUIRED => Requirement::Required,
            BEST_EFFORT => Requirement::BestEffort,
            _ => return None,
        };
        let program = arguments.next()?.into();
        let arguments = arguments.collect();
        Some(Self { program, memory_bytes_max, processor_time_s_max, requirement, arguments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_read_as_it_was_written() {
        for requirement in [Requirement::Required, Requirement::BestEffort] {
            let order = ProgramOrder {
                program: "/usr/bin/ffmpeg".into(),
                memory_bytes_max: 1 << 30,
                processor_time_s_max: 6,
                requirement,
                arguments: vec!["-i".into(), "required".into()],
            };
            let mut written = order.clone().into_arguments().into_iter();
            assert_eq!(written.next().unwrap(), PROGRAM_COMMAND);
            assert_eq!(ProgramOrder::of_arguments(written), Some(order));
        }
        for wrong in [vec![], vec!["1", "2", "off", "ffmpeg"], vec!["1", "2", "required"], vec!["much", "2"]]
        {
            assert_eq!(ProgramOrder::of_arguments(wrong.iter().map(OsString::from)), None, "{wrong:?}");
        }
    }
}
