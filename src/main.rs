fn main() -> std::process::ExitCode {
    rampant::os::spare_memory();
    rampant::cli::run()
}
