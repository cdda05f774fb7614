//! Tests of exchanges with simulated programmes and a bank in memory.

mod memory;
mod model;
mod feedback;
mod servers;
mod playing;
mod crashes;
mod troubles;
mod federation;
mod write_back;
mod opinions;
mod loopback;
mod supervised;
