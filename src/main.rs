fn main() -> std::process::ExitCode {
    rampant::cli::run()
}
