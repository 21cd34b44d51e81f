//! The real binary, from its arguments to its exit code and its files.
//!
//! Servers are the built-in engine on a free port, or a `Recorder` that keeps what it was sent.
//! Every test has a temporary folder of its own and nothing of the environment around it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a test ends where it fails, and says why"
)]

mod balancer;
mod batch;
mod calibrate;
mod chinese;
mod compare;
mod data_sets;
mod disks;
mod dry;
mod elsewhere;
mod faults;
mod gates;
mod hooks;
mod interrupts;
mod lab;
mod large;
mod metrics;
mod mistakes;
mod oddities;
mod parts;
mod pasted;
mod pictures;
mod preflight;
mod recorder;
mod recovery;
mod resume;
mod scripts;
mod secrets;
mod single;
mod tables;
mod traffic;
