//! The pages of metrics that a user names, each behind its own address.

use super::ServerControl;
use crate::client::target::MetricsUrl;
use crate::client::{tls, trouble};
use crate::error::{Error, Result};
use reqwest::StatusCode;
use std::time::Duration;

/// More than this is no page of metrics.
const PAGE_BYTES_MAX: usize = 64 << 20;

impl ServerControl {
    /// All pages as one, each series with the address that it comes from and its role. Fails when
    /// one of them does not answer: a sum without it would be another.
    pub(super) async fn named_pages(&self, limit: Duration) -> Result<(StatusCode, String)> {
        let client = client(&self.target.metrics_urls, self.target.insecure, self.target.ca_cert.as_deref())?;
        let asked = self.target.metrics_urls.iter().map(|place| {
            let (client, place) = (client.clone(), place.clone());
            tokio::spawn(async move { page(&client, &place, limit).await })
        });
        let mut whole = String::new();
        for page in asked.collect::<Vec<_>>() {
            let page = page.await.map_err(|_| Error::run("the reader of metrics has failed"))?;
            whole += &page.map_err(|error| Error::run(self.target.scrub(&error.message).into_owned()))?;
        }
        Ok((StatusCode::OK, self.target.scrub(&whole).into_owned()))
    }
}

/// A client without the keys of the target, which are none of these servers' business.
fn client(places: &[MetricsUrl], insecure: bool, ca: Option<&std::path::Path>) -> Result<reqwest::Client> {
    let tls = match places.iter().any(|place| place.url.scheme() == "https") {
        true => tls::config(insecure, ca)?,
        false => tls::believing_nobody(),
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured((*tls).clone())
        .build();
    client.map_err(|error| Error::run(format!("cannot set up a client for metrics: {error}")))
}

async fn page(client: &reqwest::Client, place: &MetricsUrl, limit: Duration) -> Result<String> {
    let fail = |error: reqwest::Error| {
        let words = trouble::words(&error).unwrap_or_else(|| error.without_url().to_string());
        Error::run(format!("{}: {words}", place.url))
    };
    let mut response = client.get(place.url.clone()).timeout(limit).send().await.map_err(fail)?;
    if !response.status().is_success() {
        return Err(Error::run(format!("{} says {}", place.url, response.status().as_u16())));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(fail)? {
        body.extend_from_slice(&piece);
        if body.len() > PAGE_BYTES_MAX {
            return Err(Error::run(format!("the answer of {} does not end", place.url)));
        }
    }
    Ok(labelled(&String::from_utf8_lossy(&body), &place.labels()))
}

/// Prometheus text with more labels on each series.
fn labelled(text: &str, more: &str) -> String {
    let mut labelled = String::with_capacity(text.len() * 2);
    for line in text.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        let Some(end) = line.find(|c: char| c == '{' || c.is_whitespace()) else { continue };
        let (name, rest) = line.split_at(end);
        let line = match rest.strip_prefix('{') {
            Some(rest) if rest.trim_start().starts_with('}') => format!("{name}{{{more}{rest}\n"),
            Some(rest) => format!("{name}{{{more},{rest}\n"),
            None => format!("{name}{{{more}}}{rest}\n"),
        };
        labelled += &line;
    }
    labelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_says_where_it_comes_from() {
        let text = "# HELP a b\na 1\nb{} 2\n  c{x=\"{1}\"} 3\n\nlonely\n";
        assert_eq!(
            labelled(text, "role=\"prefill\""),
            "a{role=\"prefill\"} 1\nb{role=\"prefill\"} 2\nc{role=\"prefill\",x=\"{1}\"} 3\n"
        );
    }
}
