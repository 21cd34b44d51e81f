//! `Args`: the parameters of a script as the command line or a file gives them.

/// What was given for one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub name: String,
    /// As it was typed: `-p rate`, or `--request-rate`; of a file `plan.yaml:3:7: request_rate`.
    pub flag: String,
    /// One for each time it was given.
    pub texts: Vec<String>,
    /// `-p` separates the items of a list by commas, also where the parameter is `many`.
    pub split: bool,
}

/// The parameters that the command line gives.
#[derive(Debug, Clone, Default)]
pub struct Args {
    pub given: Vec<Given>,
}
