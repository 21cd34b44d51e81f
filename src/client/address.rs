//! Base URLs as people type and paste them: what each becomes, or what to write instead.

use super::Target;

impl Target {
    /// Parses a base URL with or without a trailing `/v1`; errors are sentences (no scheme, no
    /// host, a scheme that is not http or https, a user name, a query or a fragment).
    pub fn base_url(text: &str) -> Result<url::Url, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("the base URL is empty: write something like http://localhost:8000".to_string());
        }
        // Before any message shows the text: it may hold a password.
        let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next();
        if authority.is_some_and(|authority| authority.contains('@')) {
            return Err(
                "a base URL must not hold a user name or a password: send them as a header".to_string()
            );
        }
        let named = text.split_once("://").filter(|(scheme, _)| {
            !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        let Some((_, rest)) = named else { return Err(without_scheme(text)) };
        let text = bracketed(text);
        let text = text.as_ref();
        let mut url =
            url::Url::parse(text).map_err(|error| format!("cannot read the base URL {text}: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!(
                "cannot talk to {text}: the scheme must be http or https, as in http://localhost:8000"
            ));
        }
        if rest.starts_with(['/', '\\']) {
            return Err(format!(
                "the base URL {text} has no host: write something like http://localhost:8000"
            ));
        }
        if url.port() == Some(0) {
            return Err(format!("cannot talk to {text}: no server listens at port 0"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(format!(
                "the base URL {text} has no host: write something like http://localhost:8000"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            // What follows may hold a key: it is not shown.
            let kept = text.split(['?', '#']).next().unwrap_or_default();
            return Err(format!(
                "the base URL {kept} must end with its path: take away what follows the ? or #"
            ));
        }
        let path = url.path().trim_end_matches('/');
        if let Some(endpoint) = ENDPOINT_ENDS.into_iter().find(|end| path.ends_with(end)) {
            return Err(format!(
                "{text} is an endpoint, not a base URL: cut off {endpoint} and give that as endpoint"
            ));
        }
        let path = path.strip_suffix("/v1").unwrap_or(path).trim_end_matches('/').to_string();
        url.set_path(&path);
        Ok(url)
    }
}

/// What to write in the place of an address that has no `://`.
fn without_scheme(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    // `http:/host`, `http//host`, `http:host`, `//host`, `://host`: a slip of the hand.
    let slip = ["https", "http", ""].into_iter().find_map(|scheme| {
        let rest = lower.strip_prefix(scheme).map(|_| &text[scheme.len()..])?;
        let bare = rest.trim_start_matches([':', '/', '\\']);
        let slashes = rest[..rest.len() - bare.len()].contains(['/', '\\']);
        let colon = !scheme.is_empty() && rest.starts_with(':');
        (slashes || colon).then_some((if scheme.is_empty() { "http" } else { scheme }, bare))
    });
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (slip, text.split_once(':')) {
        (Some((scheme, bare)), _)
            if is_port(bare)
                || bare.is_empty()
                || !text.contains([':', '.']) && text.starts_with('/') && !text.starts_with("//") =>
        {
            let port = if is_port(bare) { bare } else { "8000" };
            format!("the base URL {text} has no host: write something like {scheme}://localhost:{port}")
        }
        (Some((scheme, bare)), _) => format!("{text} has no scheme and host: write {scheme}://{bare}"),
        (None, Some(("", port))) if is_port(port) => {
            format!("the base URL {text} has no host: write http://localhost:{port}")
        }
        (None, None) if is_port(text) => {
            format!("the base URL {text} has no host: write http://localhost:{text}")
        }
        (None, Some((_, rest))) if rest.starts_with(['/', '\\']) => {
            format!("cannot talk to {text}: the scheme must be http or https, as in http://localhost:8000")
        }
        _ => format!("{text} has no scheme: write http://{text}"),
    }
}

/// A URL whose host is an IPv6 address without its brackets, with them. What follows the last
/// colon is the port where an address is left before it.
fn bracketed(text: &str) -> std::borrow::Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return text.into() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_address = |host: &str| host.parse::<std::net::Ipv6Addr>().is_ok();
    match authority.rsplit_once(':') {
        Some((host, port)) if is_address(host) && port.parse::<u16>().is_ok() => {
            format!("{scheme}://[{host}]:{port}{path}").into()
        }
        _ if is_address(authority) => format!("{scheme}://[{authority}]{path}").into(),
        _ => text.into(),
    }
}

/// Ends of paths that are no base, the longest first.
const ENDPOINT_ENDS: [&str; 12] = [
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/chat/completions",
    "/v1/completions",
    "/chat/completions",
    "/completions",
    "/generate_stream",
    "/generate",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/models",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_the_same_with_and_without_v1_and_slashes() {
        for (text, base) in [
            ("http://localhost:8000", "http://localhost:8000/"),
            ("http://localhost:8000/", "http://localhost:8000/"),
            ("http://localhost:8000/v1", "http://localhost:8000/"),
            (" http://localhost:8000/v1// ", "http://localhost:8000/"),
            ("https://host/gate/v1", "https://host/gate"),
            ("https://host/gate/", "https://host/gate"),
            ("https://host/v1/gate", "https://host/v1/gate"),
            ("http://[::1]:8000", "http://[::1]:8000/"),
            ("http://::1:8000/v1", "http://[::1]:8000/"),
            ("http://::1", "http://[::1]/"),
            ("http://2001:db8::7:8000", "http://[2001:db8::7]:8000/"),
            ("https://2001:db8::7/gate", "https://[2001:db8::7]/gate"),
            ("HTTP://Host:80", "http://host/"),
            ("HTTPS://Host:443/V1", "https://host/V1"),
            ("http://host:", "http://host/"),
            ("http://host/openai/v1", "http://host/openai"),
            ("http://host/openai/v1/", "http://host/openai"),
            // Wrong, most likely; the answer of the server shows it.
            ("http://host/v1/v1", "http://host/v1"),
            ("http://host:65535", "http://host:65535/"),
            ("http://[::1]", "http://[::1]/"),
        ] {
            assert_eq!(Target::base_url(text).as_ref().map(url::Url::as_str), Ok(base), "{text}");
        }
    }

    #[test]
    fn a_wrong_base_url_is_refused_with_what_to_write() {
        for (text, words) in [
            ("localhost:8000", "localhost:8000 has no scheme: write http://localhost:8000"),
            ("127.0.0.1:8000/v1", "write http://127.0.0.1:8000/v1"),
            ("", "is empty"),
            ("http://", "cannot read the base URL http://: empty host"),
            ("http://:8000", "empty host"),
            ("ftp://host", "must be http or https"),
            ("file:///etc", "must be http or https"),
            ("http://host?x=1", "must end with its path"),
            ("http://host/#a", "must end with its path"),
            ("http://host:8000/v1/chat/completions", "cut off /v1/chat/completions"),
            (
                "http://host:8000/v1/chat/completions/",
                "cut off /v1/chat/completions and give that as endpoint",
            ),
            ("https://host/openai/v1/completions", "cut off /v1/completions"),
            ("http://host/v1/models", "cut off /v1/models"),
            ("http://host/generate", "cut off /generate"),
            ("http://host:99999", "invalid port"),
            ("http://host:x", "invalid port"),
            ("http://host:0", "no server listens at port 0"),
            ("http://host:8000:9000", "invalid port"),
            ("http:///v1", "has no host: write something like http://localhost:8000"),
            ("http://a b", "cannot read the base URL http://a b"),
            ("htp:/foo", "htp:/foo: the scheme must be http or https"),
            ("htp://foo", "htp://foo: the scheme must be http or https"),
            ("ws:/foo", "must be http or https"),
            ("http:/host:8000/v1", "write http://host:8000/v1"),
            ("HTTPS:/host", "write https://host"),
            ("http:host:8000", "write http://host:8000"),
            ("http//host:8000", "write http://host:8000"),
            ("http:\\\\host:8000", "write http://host:8000"),
            ("http:8000", "write something like http://localhost:8000"),
            ("//host:8000", "write http://host:8000"),
            ("//host", "write http://host"),
            ("://host:8000", "write http://host:8000"),
            ("/v1", "has no host: write something like http://localhost:8000"),
            (":8000", "write http://localhost:8000"),
            ("8000", "write http://localhost:8000"),
            ("httpserver:8000", "write http://httpserver:8000"),
            ("host", "write http://host"),
            ("http", "write http://http"),
            ("[::1]:8000", "write http://[::1]:8000"),
            ("http://host:8000/v1?key=sk-123", "http://host:8000/v1 must end with its path"),
        ] {
            let error = Target::base_url(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
        for text in
            ["http://me:hunter2@host", "me:hunter2@host", "http://me:hunter2@host:99999", "ftp://hunter2@h"]
        {
            let error = Target::base_url(text).expect_err(text);
            assert!(!error.contains("hunter2") && error.contains("password"), "{error}");
        }
    }
}
