//! `nearest`: which known name was meant, when it is near enough to be a slip of the fingers.

/// The nearest of `names` to what was typed, when it is near enough to be a slip: a letter too
/// few, too many or wrong, or two of them swapped, in each four.
///
/// ```
/// assert_eq!(rampant::error::nearest("poison", ["poisson", "ramp"]), Some("poisson"));
/// assert_eq!(rampant::error::nearest("tft", ["itl", "ttfo", "ttft"]), Some("ttft"));
/// assert_eq!(rampant::error::nearest("xyz", ["poisson", "ramp"]), None);
/// ```
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = typed.to_lowercase().chars().collect();
    // Nobody types so much by accident, and the work grows with the square.
    if typed.len() > 100 {
        return None;
    }
    let allowed = 10 * (1 + typed.len() as u32 / 4);
    let distance = |name: &str| {
        let name: Vec<char> = name.to_lowercase().chars().collect();
        // A name that begins otherwise is less likely to be meant than another at this distance.
        (distance(&typed, &name), typed.first() != name.first(), typed.len().abs_diff(name.len()))
    };
    let near = names.into_iter().map(|name| (distance(name), name)).filter(|((far, ..), _)| *far <= allowed);
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Whole letter: one that is wrong, missing or too many.
const LETTER: u32 = 10;

/// Two letters that changed places.
const SWAPPED: u32 = 7;

/// A letter that is doubled, or should be.
const DOUBLED: u32 = 8;

/// What divides words: `output-tokens`, `outputtokens`.
const DIVIDER: u32 = 3;

fn divides(letter: char) -> bool {
    "_- .".contains(letter)
}

/// What it takes to put a letter behind `before`, or to take it away.
fn gap(letter: char, before: Option<&char>) -> u32 {
    match () {
        () if divides(letter) => DIVIDER,
        () if before == Some(&letter) => DOUBLED,
        () => LETTER,
    }
}

/// What it takes to make one text of the other, in tenths of a letter.
fn distance(a: &[char], b: &[char]) -> u32 {
    let before = |text: &[char], i: usize| i.checked_sub(1).map(|i| text[i]);
    let mut rows: Vec<Vec<u32>> = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            let mut least = if i + j == 0 { 0 } else { u32::MAX };
            if i > 0 {
                least = least.min(rows[i - 1][j] + gap(a[i - 1], before(a, i - 1).as_ref()));
            }
            if j > 0 {
                least = least.min(rows[i][j - 1] + gap(b[j - 1], before(b, j - 1).as_ref()));
            }
            if i > 0 && j > 0 {
                let (x, y) = (a[i - 1], b[j - 1]);
                let wrong = match () {
                    () if x == y => 0,
                    () if divides(x) && divides(y) => DIVIDER,
                    () => LETTER,
                };
                least = least.min(rows[i - 1][j - 1] + wrong);
            }
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + SWAPPED);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_and_doubled_letters_are_nearer_than_wrong_ones() {
        for (typed, names, meant) in [
            ("tft", ["ttfo", "itl", "ttft"], Some("ttft")),
            ("ttf", ["tpot", "ttft", "ttfo"], Some("ttft")),
            ("ttftt", ["ttfo", "itl", "ttft"], Some("ttft")),
            ("tpto", ["ttfo", "tpot", "ttft"], Some("tpot")),
            ("outputtokens", ["total_tokens", "input_tokens", "output_tokens"], Some("output_tokens")),
            ("Output-Tokens", ["total_tokens", "input_tokens", "output_tokens"], Some("output_tokens")),
            ("max", ["min", "mean", "std"], None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), ["x"]), None);
    }

    /// Every slip of one finger in a name.
    fn slips(name: &str) -> Vec<String> {
        let letters: Vec<char> = name.chars().collect();
        let mut slips = Vec::new();
        for i in 0..letters.len() {
            let with = |change: &dyn Fn(&mut Vec<char>)| {
                let mut letters = letters.clone();
                change(&mut letters);
                letters.into_iter().collect::<String>()
            };
            slips.push(with(&|text| {
                text.remove(i);
            }));
            slips.push(with(&|text| text.insert(i, text[i])));
            if i + 1 < letters.len() {
                slips.push(with(&|text| text.swap(i, i + 1)));
            }
        }
        slips
    }

    #[test]
    fn a_slip_of_one_finger_is_found_among_names_that_are_unlike_each_other() {
        let names = ["requests", "errors", "goodput", "concurrency", "queue_delay", "lateness", "duration"];
        for name in names {
            for slip in slips(name).into_iter().filter(|slip| slip != name) {
                assert_eq!(nearest(&slip, names), Some(name), "{slip}");
            }
        }
    }
}
