/// Counts what scripts hold.
#[global_allocator]
static ALLOCATOR: rampant::os::heap::Counting = rampant::os::heap::Counting;

fn main() -> std::process::ExitCode {
    rampant::os::spare_memory();
    rampant::cli::run()
}
