//! `Adaption`: a field of ours that a server does not take, and what was done about it.

/// A field that every request to a target goes without, or with under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adaption {
    /// As we would have sent it.
    pub field: String,
    /// What it is sent as; `None`: it is left out.
    pub instead: Option<String>,
    /// The server took the field without a word and did not act on it.
    pub ignored: bool,
}

impl Adaption {
    pub fn left_out(field: &str) -> Adaption {
        Adaption { field: field.into(), instead: None, ignored: false }
    }

    pub fn renamed(field: &str, instead: &str) -> Adaption {
        Adaption { field: field.into(), instead: Some(instead.into()), ignored: false }
    }
}
