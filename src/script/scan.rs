//! Finding things in script text by its words, where the language gives a position too coarse.
//!
//! This is not a parser: it skips comments and strings and looks at identifiers.

/// A word or a sign of the script, with its place; line and column count from 1.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    text: String,
    line: usize,
    column: usize,
    /// A `"quoted"` one, which may be a key.
    quoted: bool,
}

impl Token {
    fn is_word(&self) -> bool {
        !self.quoted && self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let letters: Vec<char> = text.chars().collect();
    let (mut at, mut line, mut column) = (0, 1, 1);
    while at < letters.len() {
        let start = at;
        let (token_line, token_column) = (line, column);
        let mut quoted = false;
        match (letters[at], letters.get(at + 1)) {
            ('/', Some('/')) => at += letters[at..].iter().take_while(|c| **c != '\n').count(),
            ('/', Some('*')) => {
                let rest = &letters[at + 2..];
                let end = rest.windows(2).position(|pair| pair == ['*', '/']);
                at = end.map_or(letters.len(), |end| at + 2 + end + 2);
            }
            (quote @ ('"' | '`' | '\''), _) => {
                quoted = true;
                at += 1;
                while at < letters.len() && letters[at] != quote {
                    at += if letters[at] == '\\' && quote != '`' { 2 } else { 1 };
                }
                at = (at + 1).min(letters.len());
            }
            (c, _) if c.is_alphanumeric() || c == '_' => {
                at += letters[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            }
            _ => at += 1,
        }
        let piece: String = letters[start..at].iter().collect();
        for letter in piece.chars() {
            (line, column) = if letter == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        let comment = piece.starts_with("//") || piece.starts_with("/*");
        if comment || piece.trim().is_empty() {
            continue;
        }
        let text = if quoted { piece.trim_matches(['"', '`', '\'']).to_string() } else { piece };
        found.push(Token { text, line: token_line, column: token_column, quoted });
    }
    found
}

/// Where the option `name` stands in the call at `line`, `column`: the key of a map literal
/// between the call's parentheses. `None` when the map was made elsewhere.
pub fn find_option(text: &str, line: usize, column: usize, name: &str) -> Option<(usize, usize)> {
    let all = tokens(text);
    let first = all.iter().position(|token| (token.line, token.column) >= (line, column))?;
    let mut depth = 0_usize;
    for (index, token) in all.iter().enumerate().skip(first) {
        if !token.quoted {
            match token.text.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 && token.text == ")" {
                        return None;
                    }
                }
                ";" if depth == 0 => return None,
                _ => {}
            }
        }
        let is_key = all.get(index + 1).is_some_and(|next| next.text == ":" && !next.quoted);
        if is_key && depth > 0 && token.text == name {
            return Some((token.line, token.column));
        }
    }
    None
}

/// The names of variables and parameters that a text defines.
pub fn variables(text: &str) -> Vec<String> {
    let all = tokens(text);
    let mut names = Vec::new();
    let mut in_bars = false;
    for (index, token) in all.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", |before| all[before].text.as_str());
        if token.text == "|" && !token.quoted {
            // A closure's first bar follows a sign, never a value.
            let opens = matches!(before, "(" | "," | ":" | "=" | "[" | "{" | ";" | "|");
            in_bars = !in_bars && opens;
        }
        let defined = match before {
            "let" | "const" | "as" | "for" => true,
            "(" | "," => in_bars || in_parameters(&all, index),
            _ => in_bars,
        };
        if defined && token.is_word() && !names.contains(&token.text) {
            names.push(token.text.clone());
        }
    }
    names
}

/// Inside `fn name(a, b)`, `for (x, i)` or `catch (e)`.
fn in_parameters(all: &[Token], index: usize) -> bool {
    let Some(open) = (0..index).rev().find(|at| matches!(all[*at].text.as_str(), "(" | ")" | ";" | "{"))
    else {
        return false;
    };
    if all[open].text != "(" {
        return false;
    }
    let word = |back: usize| open.checked_sub(back).map_or("", |at| all[at].text.as_str());
    matches!(word(1), "for" | "catch") || word(2) == "fn"
}

/// The keys of map literals in a text, and the properties that it sets.
pub fn keys(text: &str) -> Vec<String> {
    let all = tokens(text);
    let is_sign = |token: &Token, sign: &str| !token.quoted && token.text == sign;
    let literal = all.windows(2).filter(|pair| is_sign(&pair[1], ":")).map(|pair| &pair[0]);
    let set = all
        .windows(3)
        .filter(|three| is_sign(&three[0], ".") && is_sign(&three[2], "="))
        .map(|three| &three[1]);
    let mut keys: Vec<String> = literal.chain(set).map(|token| token.text.clone()).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// True when the place lies in the body of a named function.
pub fn is_inside_function(text: &str, line: usize, column: usize) -> bool {
    let (mut depth, mut body, mut waiting) = (0_usize, None, false);
    for token in tokens(text) {
        if (token.line, token.column) >= (line, column) {
            return body.is_some();
        }
        match token.text.as_str() {
            _ if token.quoted => {}
            "fn" => waiting = true,
            "{" => {
                depth += 1;
                if std::mem::take(&mut waiting) && body.is_none() {
                    body = Some(depth);
                }
            }
            "}" => {
                if body == Some(depth) {
                    body = None;
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_in_its_own_call_and_nowhere_else() {
        let text =
            "let a = #{ rate: 1 };\nrun(a + #{\n  // rate: here\n  \"x\": \"rate: 2\",\n  rate: 3 });\n";
        assert_eq!(find_option(text, 2, 1, "rate"), Some((5, 3)));
        assert_eq!(find_option(text, 2, 1, "x"), Some((4, 3)));
        assert_eq!(find_option("run(a); let b = #{ rate: 1 };", 1, 1, "rate"), None);
    }

    #[test]
    fn variables_are_what_a_text_defines() {
        let text =
            "import \"m\" as lib; let a = b; for (x, i) in c { } fn f(p, q) { g(z) } let h = |u, v| u;";
        assert_eq!(variables(text), ["lib", "a", "x", "i", "p", "q", "h", "u", "v"]);
    }

    #[test]
    fn keys_are_those_of_literals_and_those_that_are_set() {
        assert_eq!(keys("let m = #{ a: 1, \"b c\": \"d: 2\" }; m.e = 1; m.f;"), ["a", "b c", "e"]);
    }

    #[test]
    fn a_place_is_inside_a_function_only_between_its_braces() {
        let text = "let a = 1;\nfn f(x) {\n  if x { a }\n}\na\n";
        assert!(is_inside_function(text, 3, 10));
        assert!(!is_inside_function(text, 5, 1));
    }
}
