//! The process outside us: output, environment, working folder, Ctrl-C, wall clock.
