//! `Config`: how the simulated server behaves, and its one-line text form `key=value,...`.

use crate::error::nearest;

/// How the server behaves.
///
/// With `prefill` at 0 every token has its own fixed deadline: token `k` of a request leaves at
/// `arrival + ttft + k * itl`. With a `prefill` rate the server is an engine with continuous
/// batching: all running sequences advance together, step by step, and the prompt of a new
/// sequence lengthens the steps in which it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The model that is served; none at all is served, too. Once it has a name of its own, any
    /// other is a 404.
    pub model: String,
    /// Milliseconds from the arrival of a request (the last byte of its body) to its first token.
    /// In the engine model: what every prefill costs besides its tokens.
    pub ttft_ms: f64,
    /// Milliseconds between two tokens. In the engine model: a decode step of one sequence.
    pub itl_ms: f64,
    /// Engine model: milliseconds by which every further sequence lengthens a decode step.
    pub itl_per_seq_ms: f64,
    /// Prompt tokens read per second; 0 turns the engine model off.
    pub prefill: f64,
    /// Engine model: prompt tokens read in one step at most; a longer prompt takes several.
    pub chunk: u32,
    /// Blocks of read prompts and replies that are kept for prompts that begin alike; 0: none.
    pub cache: usize,
    /// Tokens of a block of the cache.
    pub block: u32,
    /// Requests served at once; the rest wait in order of arrival. 0: no limit.
    pub slots: usize,
    /// Tokens per write, without pacing, after the time to the first token. 0: paced, one a write.
    pub burst: u32,
    /// A chat stream opens with an event that carries only the role.
    pub role_chunk: bool,
    /// Close the connection after every reply without announcing it.
    pub close: bool,
    /// Probability that a token is the end of the text, unless the request sets `ignore_eos`.
    pub eos: f64,
    /// The bearer token without which every `/v1` path answers 401.
    pub api_key: Option<String>,
    /// What goes wrong, and how often.
    pub fail: Option<Fail>,
    /// End when standard input ends, so that a child never outlives its parent.
    pub until_stdin_closes: bool,
}

/// Blocks of the prefix cache, 40 bytes each.
const CACHE_MAX: usize = 10_000_000;

/// The model's name until it is given another.
const MODEL: &str = "rampant-sim";

impl Default for Config {
    fn default() -> Self {
        Config {
            model: MODEL.to_string(),
            ttft_ms: 50.0,
            itl_ms: 10.0,
            itl_per_seq_ms: 0.0,
            prefill: 0.0,
            chunk: 2048,
            cache: 0,
            block: 16,
            slots: 0,
            burst: 0,
            role_chunk: true,
            close: false,
            eos: 0.0,
            api_key: None,
            fail: None,
            until_stdin_closes: false,
        }
    }
}

/// A fault that hits a fixed share of the generations, evenly spread by their count: a share of
/// 0.1 hits the 10th, the 20th and so on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fail {
    pub kind: FailKind,
    /// Above 0, at most 1.
    pub share: f64,
}

impl Fail {
    /// Whether generation `number` (the first is 1) is hit.
    pub fn hits(&self, number: u64) -> bool {
        let due = |count: u64| (count as f64 * self.share + 1e-9).floor();
        due(number) > due(number - 1)
    }
}

/// What goes wrong with a generation that is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailKind {
    /// An error reply with this status instead of a generation.
    Status(u16),
    /// Half of the tokens, then an event that carries an error, then a clean end.
    ErrorEvent,
    /// Half of the tokens, then a closed connection.
    Cut,
    /// Half of the tokens, then silence until the client leaves.
    Stall,
    /// All tokens and a clean end, but never a `finish_reason`.
    NoFinish,
}

const FAILS: [&str; 5] = ["status", "error_event", "cut", "stall", "no_finish"];

const KEYS: [&str; 16] = [
    "model",
    "ttft",
    "itl",
    "itl_per_seq",
    "prefill",
    "chunk",
    "cache",
    "block",
    "slots",
    "burst",
    "role_chunk",
    "close",
    "eos",
    "api_key",
    "fail",
    "until_stdin_closes",
];

/// Reads `slots=32,prefill=9000,itl=9ms`; what is not named keeps its default. Times are numbers
/// with `us`, `ms` or `s`; a bare number is milliseconds. `prefill` without `ttft` means a `ttft`
/// of 0. Fails with a sentence that names the key, and the nearest one when it is unknown.
///
/// ```
/// let config = rampant::engine::parse("slots=32,prefill=9000,itl=9ms").unwrap();
/// assert_eq!((config.slots, config.itl_ms, config.ttft_ms), (32, 9.0, 0.0));
/// let error = rampant::engine::parse("slot=32").unwrap_err();
/// assert_eq!(error, "the engine has no setting \"slot\" (did you mean \"slots\"?)");
/// ```
pub fn parse(text: &str) -> Result<Config, String> {
    let mut config = Config::default();
    let mut seen: Vec<&str> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            return Err(match KEYS.contains(&part) {
                true => format!("the engine setting \"{part}\" needs a value, as in \"{part}=...\""),
                false => unknown(part),
            });
        };
        let (key, value) = (key.trim(), value.trim());
        if !KEYS.contains(&key) {
            return Err(unknown(key));
        }
        if seen.contains(&key) {
            return Err(format!("the engine setting \"{key}\" is given twice"));
        }
        seen.push(key);
        config.set(key, value)?;
    }
    if seen.contains(&"prefill") && !seen.contains(&"ttft") {
        config.ttft_ms = 0.0;
    }
    config.check()?;
    Ok(config)
}

fn unknown(key: &str) -> String {
    match nearest(key, KEYS) {
        Some(near) => format!("the engine has no setting \"{key}\" (did you mean \"{near}\"?)"),
        None => format!("the engine has no setting \"{key}\" (it has {})", KEYS.join(", ")),
    }
}

impl Config {
    /// Nobody has named the model: every name is served, as by a stand-in for any server.
    pub fn any_model(&self) -> bool {
        self.model == MODEL
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "model" => self.model = unescape(value),
            "ttft" => self.ttft_ms = millis(key, value)?,
            "itl" => self.itl_ms = millis(key, value)?,
            "itl_per_seq" => self.itl_per_seq_ms = millis(key, value)?,
            "prefill" => self.prefill = number(key, value)?,
            "chunk" => self.chunk = number(key, value)?,
            "cache" => self.cache = number(key, value)?,
            "block" => self.block = number(key, value)?,
            "slots" => self.slots = number(key, value)?,
            "burst" => self.burst = number(key, value)?,
            "role_chunk" => self.role_chunk = number(key, value)?,
            "close" => self.close = number(key, value)?,
            "eos" => self.eos = number(key, value)?,
            "api_key" => self.api_key = Some(unescape(value)),
            "fail" => self.fail = Some(fail(value)?),
            "until_stdin_closes" => self.until_stdin_closes = number(key, value)?,
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    /// Fails with a sentence when a value is outside of what the server can do.
    pub fn check(&self) -> Result<(), String> {
        let times = [("ttft", self.ttft_ms), ("itl", self.itl_ms), ("itl_per_seq", self.itl_per_seq_ms)];
        for (key, ms) in times {
            if !(0.0..=86_400_000.0).contains(&ms) {
                return Err(format!("the engine setting \"{key}\" must be from 0 to a day, got {ms} ms"));
            }
        }
        if !(self.prefill >= 0.0 && self.prefill.is_finite()) {
            return Err(format!("the engine setting \"prefill\" must be 0 or above, got {}", self.prefill));
        }
        if self.chunk == 0 {
            return Err("the engine setting \"chunk\" must be above 0".to_string());
        }
        if self.block == 0 {
            return Err("the engine setting \"block\" must be above 0".to_string());
        }
        if self.cache > CACHE_MAX {
            return Err(format!(
                "the engine setting \"cache\" must be at most {CACHE_MAX}, got {}",
                self.cache
            ));
        }
        if !(0.0..=1.0).contains(&self.eos) {
            return Err(format!("the engine setting \"eos\" must be from 0 to 1, got {}", self.eos));
        }
        if self.model.is_empty() {
            return Err("the engine setting \"model\" must not be empty".to_string());
        }
        if let Some(fail) = &self.fail {
            if !(fail.share > 0.0 && fail.share <= 1.0) {
                return Err(format!("the share of \"fail\" must be above 0, at most 1, got {}", fail.share));
            }
            if let FailKind::Status(status) = fail.kind
                && !(400..=599).contains(&status)
            {
                return Err(format!("the status of \"fail\" must be from 400 to 599, got {status}"));
            }
        }
        Ok(())
    }

    /// The text that [`parse`] reads back into an equal value. It holds the API key.
    ///
    /// ```
    /// let config = rampant::engine::parse("itl=2.5ms,fail=cut:0.1").unwrap();
    /// assert_eq!(config.to_text(), "ttft=50ms,itl=2.5ms,fail=cut:0.1");
    /// ```
    pub fn to_text(&self) -> String {
        let usual = Config::default();
        let mut parts = vec![format!("ttft={}ms", self.ttft_ms), format!("itl={}ms", self.itl_ms)];
        let mut add = |differs: bool, key: &str, value: String| {
            if differs {
                parts.push(format!("{key}={value}"));
            }
        };
        add(self.model != usual.model, "model", escape(&self.model));
        let per_seq = self.itl_per_seq_ms;
        add(per_seq != usual.itl_per_seq_ms, "itl_per_seq", format!("{per_seq}ms"));
        add(self.prefill != usual.prefill, "prefill", self.prefill.to_string());
        add(self.chunk != usual.chunk, "chunk", self.chunk.to_string());
        add(self.cache != usual.cache, "cache", self.cache.to_string());
        add(self.block != usual.block, "block", self.block.to_string());
        add(self.slots != usual.slots, "slots", self.slots.to_string());
        add(self.burst != usual.burst, "burst", self.burst.to_string());
        add(self.role_chunk != usual.role_chunk, "role_chunk", self.role_chunk.to_string());
        add(self.close != usual.close, "close", self.close.to_string());
        add(self.eos != usual.eos, "eos", self.eos.to_string());
        if let Some(key) = &self.api_key {
            add(true, "api_key", escape(key));
        }
        if let Some(fail) = &self.fail {
            add(true, "fail", fail.to_text());
        }
        add(self.until_stdin_closes, "until_stdin_closes", "true".to_string());
        parts.join(",")
    }
}

impl Fail {
    fn to_text(self) -> String {
        let share = self.share;
        match self.kind {
            FailKind::Status(status) => format!("status:{status}:{share}"),
            FailKind::ErrorEvent => format!("error_event:{share}"),
            FailKind::Cut => format!("cut:{share}"),
            FailKind::Stall => format!("stall:{share}"),
            FailKind::NoFinish => format!("no_finish:{share}"),
        }
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, String> {
    let wanted = match std::any::type_name::<T>() {
        "bool" => "true or false",
        "f64" => "a number",
        _ => "a whole number",
    };
    value.parse().map_err(|_| format!("the engine setting \"{key}\" must be {wanted}, got \"{value}\""))
}

fn millis(key: &str, value: &str) -> Result<f64, String> {
    let (digits, factor) = if let Some(digits) = value.strip_suffix("us") {
        (digits, 0.001)
    } else if let Some(digits) = value.strip_suffix("ms") {
        (digits, 1.0)
    } else if let Some(digits) = value.strip_suffix('s') {
        (digits, 1000.0)
    } else {
        (value, 1.0)
    };
    let count: f64 = digits.trim().parse().map_err(|_| {
        format!("the engine setting \"{key}\" must be a time such as 9ms or 1.5s, got \"{value}\"")
    })?;
    Ok(count * factor)
}

fn fail(value: &str) -> Result<Fail, String> {
    let parts: Vec<&str> = value.split(':').collect();
    let (kind, share) = match parts[..] {
        ["status", status, share] => (FailKind::Status(number("fail", status)?), share),
        ["error_event", share] => (FailKind::ErrorEvent, share),
        ["cut", share] => (FailKind::Cut, share),
        ["stall", share] => (FailKind::Stall, share),
        ["no_finish", share] => (FailKind::NoFinish, share),
        _ => {
            let near = match nearest(parts[0], FAILS) {
                Some(near) if near != parts[0] => format!(" (did you mean \"{near}\"?)"),
                _ => String::new(),
            };
            return Err(format!(
                "the engine setting \"fail\" must be status:CODE:SHARE or KIND:SHARE with a KIND of \
                 error_event, cut, stall, no_finish, got \"{value}\"{near}"
            ));
        }
    };
    Ok(Fail { kind, share: number("fail", share)? })
}

/// A comma would end the value.
fn escape(value: &str) -> String {
    value.replace('%', "%25").replace(',', "%2C")
}

fn unescape(value: &str) -> String {
    value.replace("%2C", ",").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_keeps_its_default() {
        let config = parse("slots=32, prefill=9000,itl=9ms,itl_per_seq=250us").unwrap();
        let expected = Config {
            slots: 32,
            prefill: 9000.0,
            itl_ms: 9.0,
            itl_per_seq_ms: 0.25,
            ttft_ms: 0.0,
            ..Config::default()
        };
        assert_eq!(config, expected);
        assert_eq!(parse("").unwrap(), Config::default());
        assert_eq!(parse("prefill=9000,ttft=1s").unwrap().ttft_ms, 1000.0);
    }

    #[test]
    fn text_is_read_back_to_an_equal_value() {
        let full = Config {
            model: "a,b%2Cc".to_string(),
            ttft_ms: 0.1,
            itl_ms: 7.25,
            itl_per_seq_ms: 0.3,
            prefill: 9000.5,
            chunk: 512,
            cache: 1000,
            block: 32,
            slots: 4,
            burst: 16,
            role_chunk: false,
            close: true,
            eos: 0.01,
            api_key: Some("k,%=1".to_string()),
            fail: Some(Fail { kind: FailKind::Status(503), share: 0.1 }),
            until_stdin_closes: true,
        };
        assert_eq!(parse(&full.to_text()), Ok(full.clone()));
        assert_eq!(parse(&Config::default().to_text()), Ok(Config::default()));
        let engine_with_a_ttft = Config { prefill: 9.0, ..Config::default() };
        assert_eq!(parse(&engine_with_a_ttft.to_text()), Ok(engine_with_a_ttft));
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let error = |text| parse(text).unwrap_err();
        assert_eq!(error("itll=9ms"), "the engine has no setting \"itll\" (did you mean \"itl\"?)");
        assert_eq!(
            error("itl=fast"),
            "the engine setting \"itl\" must be a time such as 9ms or 1.5s, got \"fast\""
        );
        assert_eq!(error("slots=-1"), "the engine setting \"slots\" must be a whole number, got \"-1\"");
        assert_eq!(error("close=yes"), "the engine setting \"close\" must be true or false, got \"yes\"");
        assert_eq!(error("eos=2"), "the engine setting \"eos\" must be from 0 to 1, got 2");
        assert_eq!(error("itl=1,itl=2"), "the engine setting \"itl\" is given twice");
        assert_eq!(error("slots"), "the engine setting \"slots\" needs a value, as in \"slots=...\"");
        assert!(error("fail=stal:0.1").ends_with("got \"stal:0.1\" (did you mean \"stall\"?)"));
        assert_eq!(error("fail=cut:0"), "the share of \"fail\" must be above 0, at most 1, got 0");
        assert_eq!(error("fail=status:200:0.1"), "the status of \"fail\" must be from 400 to 599, got 200");
        assert_eq!(error("block=0"), "the engine setting \"block\" must be above 0");
        assert_eq!(error("cach=9"), "the engine has no setting \"cach\" (did you mean \"cache\"?)");
        assert!(error("cache=99999999").contains("at most 10000000"));
        assert!(error("itl=NaN").contains("from 0 to a day"));
    }

    #[test]
    fn a_fault_is_spread_evenly_by_count() {
        let hits = |share: f64| -> Vec<u64> {
            let fail = Fail { kind: FailKind::Cut, share };
            (1..=30).filter(|number| fail.hits(*number)).collect()
        };
        assert_eq!(hits(0.1), [10, 20, 30]);
        assert_eq!(hits(0.3), [4, 7, 10, 14, 17, 20, 24, 27, 30]);
        assert_eq!(hits(1.0).len(), 30);
    }
}
