//! The command line: argv -> which script, its arguments, and a few switches.

/// Runs the command line and returns the exit code.
pub fn run() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
