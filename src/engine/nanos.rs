//! The engine's measure of time.

/// Nanoseconds on the monotonic clock, as [`crate::os::now`] gives them.
pub type Nanos = i64;
