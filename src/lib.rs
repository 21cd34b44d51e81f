//! Rampant: a scriptable load engine for LLM inference servers.
//!
//! The modules stand in the order in which one request meets them:
//!
//! 1. [`cli`] turns the command line into a script, its arguments and a few switches;
//! 2. [`script`] runs the Rhai program, which builds a plan and reads results; what its runs share,
//!    from the results folder to the targets made ready, is an [`experiment`];
//! 3. [`schedule`] says when each request is due, as arithmetic;
//! 4. [`workload`] says what each request asks, from (seed, cell, sequence number) alone;
//! 5. [`run`] holds the one loop: take a slot, wait until it is due, start its session;
//! 6. [`client`] puts the request on a socket and returns one finished [`record`];
//! 7. [`store`] writes records to Parquet and reads them back;
//! 8. [`stats`] computes every metric from records;
//! 9. [`chart`] draws them.
//!
//! [`engine`] is the built-in simulated inference server, and [`simulate`] a whole run against it without
//! sockets and without waiting. [`csv`], [`error`], [`host`], [`lang`], [`os`],
//! [`pages`], [`random`], [`scrub`], [`tokens`] are leaves that know nothing of the rest.

pub mod cli;
pub mod script;

pub mod experiment;

pub(crate) mod schedule;
pub mod workload;

pub(crate) mod run;

pub mod client;

pub mod record;

pub mod store;

pub mod stats;

pub mod chart;

pub mod engine;

pub mod simulate;

pub(crate) mod csv;
pub mod error;
pub mod host;
pub mod lang;
pub mod os;
pub(crate) mod pages;
pub(crate) mod random;
pub(crate) mod scrub;
pub mod tokens;
