//! Durations as scripts write them: a number of seconds, or text such as `"250ms"`, `"1m30s"`.

use std::time::Duration;

/// Reads `"250us"`, `"250ms"`, `"2.5s"`, `"5m"`, `"1h"`, `"1m30s"`. `None` when it is not one.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let letters = rest[digits..].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len() - digits);
        let amount: f64 = rest[..digits].parse().ok()?;
        let unit = match &rest[digits..digits + letters] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total = seconds((total + seconds(amount * unit)?).as_secs_f64())?;
        rest = &rest[digits + letters..];
    }
    Some(total)
}

/// A number of seconds; `None` below 0, and beyond all sense: times are nanoseconds in 64 bits.
pub fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|time| *time <= LONGEST)
}

/// A hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_may_have_several() {
        let parsed = |text| parse(text).map(|duration| duration.as_secs_f64());
        assert_eq!(parsed("250ms"), Some(0.25));
        assert_eq!(parsed("2.5s"), Some(2.5));
        assert_eq!(parsed("1h2m3s"), Some(3723.0));
        assert_eq!(parsed("10us"), Some(1e-5));
        for wrong in ["", "5", "5 m", "m", "5x", "-1s", "1.2.3s", "1000000h", "800000h800000h"] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }
}
