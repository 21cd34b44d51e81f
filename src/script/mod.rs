//! The Rhai engine: the only place that knows the script language.
