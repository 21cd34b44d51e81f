//! Numbers of a load shape, checked and converted.

use crate::record::Nanos;

/// Seconds as whole nanoseconds; a time past 292 years is the last one there is.
pub(super) fn nanos(seconds: f64) -> Nanos {
    (seconds * 1e9).round() as Nanos
}

/// Sums of rates are rounded; a request that is nearer than this share of the whole to a
/// boundary belongs after it. Without it, 10 steps of 0.1 s at 7/s would hold an eighth request.
pub(super) const ROUNDING: f64 = 1e-12;

pub(super) fn above_zero(what: &str, value: f64) -> Result<(), String> {
    match value {
        v if v.is_nan() => Err(format!("{what} must be a number, got NaN")),
        v if v.is_infinite() => Err(format!("{what} must be finite, got {v}")),
        v if v <= 0.0 => Err(format!("{what} must be above 0, got {v}")),
        _ => Ok(()),
    }
}

pub(super) fn zero_or_above(what: &str, value: f64) -> Result<(), String> {
    match value {
        0.0 => Ok(()),
        v if v < 0.0 => Err(format!("{what} must not be negative, got {v}")),
        v => above_zero(what, v),
    }
}
