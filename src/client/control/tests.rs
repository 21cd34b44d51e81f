use super::*;
use crate::client::target::HiddenValue;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub type Answers = fn(path: &str, call: usize) -> String;

/// A server on loopback that answers each call by its path and its number, and the heads
/// that it read.
pub async fn server(answers: Answers) -> (Target, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    tokio::spawn(async move {
        let calls = AtomicUsize::new(0);
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && socket.read_buf(&mut head).await.unwrap_or(0) > 0 {}
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or("").to_string();
            seen.lock().expect("heads").push(head);
            let answer = answers(&path, calls.fetch_add(1, Ordering::Relaxed));
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let mut target = target(port);
    target.api_key = Some(HiddenValue::new("sk-hunter"));
    (target, heads)
}

fn target(port: u16) -> Target {
    Target::new(Target::base_url(&format!("http://127.0.0.1:{port}")).expect("a base URL"), Api::Completions)
}

pub fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nserver: test\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

pub fn control(target: &Target) -> ServerControl {
    ServerControl::new(target).expect("a client")
}

const NEVER: fn() -> bool = || false;

/// Waits for a target as a run does.
async fn ready(target: &Target, limit: Duration, named: bool) -> Result<()> {
    control(target).ready(&mut Patience::new(limit, &NEVER, &|_, _| {}), named).await
}

/// Answers one call over TLS with an empty list of models.
fn tls_server() -> (Target, String) {
    let (config, authority) = tls::tests::server();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a call");
        let tls = rustls::ServerConnection::new(config).expect("TLS");
        let mut stream = rustls::StreamOwned::new(tls, socket);
        let mut head = [0; 4096];
        if std::io::Read::read(&mut stream, &mut head).is_ok() {
            let _ = std::io::Write::write_all(&mut stream, answer(200, r#"{"data":[]}"#).as_bytes());
            stream.conn.send_close_notify();
            let _ = std::io::Write::flush(&mut stream);
        }
    });
    let base = Target::base_url(&format!("https://localhost:{port}")).expect("a base URL");
    (Target::new(base, Api::Chat), authority)
}

#[tokio::test]
async fn nobody_waits_for_a_certificate_to_become_good() {
    let ((mut target, _), (_, other)) = (tls_server(), tls_server());
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), other).expect("written");
    target.ca_cert = Some(file.path().to_path_buf());
    let error = ready(&target, Duration::from_secs(600), false).await.expect_err("refused");
    let hint = error.hint.clone().unwrap_or_default();
    assert!(hint.starts_with("look whether ") && hint.contains("accept any (--insecure)"), "{hint}");
    assert_eq!(error.kind, ErrorKind::NotReady);
    assert!(error.message.starts_with("cannot trust "), "{error}");
}

#[test]
fn no_hint_about_a_certificate_advises_what_was_done_already() {
    let ca = "the-ca.pem";
    for (insecure, file, advised, not) in [
        (false, None, vec!["--ca-cert", "--insecure"], vec![]),
        (false, Some(ca), vec![ca, "--insecure"], vec!["--ca-cert"]),
        (true, None, vec!["TLS settings"], vec!["--ca-cert", "--insecure"]),
        (true, Some(ca), vec!["TLS settings"], vec!["--ca-cert", "--insecure"]),
    ] {
        let mut target = Target::new(Target::base_url("http://localhost:1").expect("a URL"), Api::Chat);
        let control = control(&target);
        (target.insecure, target.ca_cert) = (insecure, file.map(Into::into));
        let hint = ServerControl { target, ..control }.hinted(Error::run("x")).hint.expect("a hint");
        assert!(advised.iter().all(|words| hint.contains(words)), "{insecure} {file:?}: {hint}");
        assert!(!not.iter().any(|words| hint.contains(words)), "{insecure} {file:?}: {hint}");
    }
}

#[tokio::test]
async fn whoever_speaks_another_language_is_not_waited_for() {
    let plain = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = plain.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut socket in plain.incoming().flatten() {
            let _ = std::io::Read::read(&mut socket, &mut [0; 100]);
            let _ = std::io::Write::write_all(&mut socket, answer(400, "").as_bytes());
        }
    });
    let base = Target::base_url(&format!("https://127.0.0.1:{port}")).expect("a base URL");
    let mut target = Target::new(base, Api::Chat);
    target.insecure = true;
    let error = ready(&target, Duration::from_secs(600), false).await.expect_err("plain HTTP");
    let told = format!(
        "cannot talk to {}: the server does not speak TLS at this port: write http:// in the base URL",
        target.name
    );
    assert_eq!((error.kind, error.message, error.hint), (ErrorKind::NotReady, told, None));

    let (mut target, _) = tls_server();
    target.base.set_scheme("http").expect("a scheme");
    let error = ready(&target, Duration::from_secs(600), false).await.expect_err("TLS");
    assert_eq!(error.kind, ErrorKind::NotReady);
    assert!(error.message.ends_with("write https:// in the base URL if it is TLS"), "{error}");
}

#[tokio::test]
async fn certificates_are_believed_as_the_target_says() {
    let (mut target, _) = tls_server();
    target.insecure = true;
    assert_eq!(control(&target).models().await.expect("any certificate"), [""; 0]);
    let (mut target, authority) = tls_server();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), authority).expect("written");
    target.ca_cert = Some(file.path().to_path_buf());
    assert_eq!(control(&target).models().await.expect("its authority"), [""; 0]);
    let (mut target, _) = tls_server();
    target.ca_cert = Some(file.path().to_path_buf());
    let error = control(&target).models().await.expect_err("another authority");
    assert!(error.message.contains("invalid peer certificate"), "{error}");
    assert!(error.hint.is_some());
}

#[tokio::test]
async fn models_are_listed_with_the_key_in_a_header() {
    let (target, heads) = server(|path, _| match path {
        "/v1/models" => answer(200, r#"{"models":[],"object":"list","data":[{"id":"a"},{"id":"b"}]}"#),
        _ => answer(404, ""),
    })
    .await;
    assert_eq!(control(&target).models().await.expect("models"), ["a", "b"]);
    assert!(heads.lock().expect("heads")[0].contains("authorization: Bearer sk-hunter\r\n"));
}

#[tokio::test]
async fn tgi_tells_its_model_in_its_own_way() {
    let (mut target, _) = server(|path, _| match path {
        "/info" => answer(200, r#"{"model_id":"org/m","version":"3.0","router":"x"}"#),
        _ => answer(404, ""),
    })
    .await;
    target.api = Api::Tgi;
    assert_eq!(control(&target).models().await.expect("models"), ["org/m"]);
    let control = control(&target);
    let found = control.fingerprint(control.list(true).await.ok().as_ref()).await;
    assert_eq!(Value::from(found).to_string(), r#"{"server":"test","model_id":"org/m","version":"3.0"}"#);
}

#[tokio::test]
async fn an_error_has_the_words_of_the_server_but_no_secret() {
    let (target, _) = server(|_, _| answer(401, r#"{"error":{"message":"bad key sk-hunter"}}"#)).await;
    let error = control(&target).models().await.expect_err("refused");
    let expected = format!(
        "cannot ask {} for its models: {} says 401 (bad key <secret>)",
        target.name,
        target.url("/v1/models")
    );
    assert_eq!(
        (error.message.as_str(), error.hint.as_deref()),
        (expected.as_str(), Some("the API key that was sent is refused: check it"))
    );
}

#[tokio::test]
async fn a_redirect_is_followed_on_the_same_host_only() {
    let (target, heads) = server(|path, _| match path {
        "/v1/models" => "HTTP/1.1 307 X\r\nlocation: /v1/models/\r\nconnection: close\r\n\r\n".to_string(),
        "/v1/models/" => answer(200, r#"{"data":[{"id":"a"}]}"#),
        _ => "HTTP/1.1 307 X\r\nlocation: http://localhost:1/\r\nconnection: close\r\n\r\n".to_string(),
    })
    .await;
    assert_eq!(control(&target).models().await.expect("models"), ["a"]);
    let error = control(&target).post("/start_profile").await.expect_err("another host");
    assert!(error.message.ends_with("it redirects to another host"), "{error}");
    let posted = heads.lock().expect("heads").last().cloned().expect("a call");
    assert!(posted.starts_with("POST /start_profile HTTP/1.1\r\n"), "{posted}");
}

#[tokio::test]
async fn a_target_is_ready_when_it_answers() {
    let twenty = Duration::from_secs(20);
    for answers in [
        |path: &str, _: usize| answer(if path == "/health" { 200 } else { 500 }, ""),
        |path: &str, _: usize| answer(if path == "/v1/models" { 200 } else { 404 }, ""),
        |_: &str, _: usize| answer(401, ""),
        |_: &str, call: usize| answer(if call < 2 { 503 } else { 200 }, ""),
    ] {
        let (target, _) = server(answers).await;
        ready(&target, twenty, false).await.expect("ready");
    }
}

#[tokio::test]
async fn somebody_who_answers_is_enough_when_the_model_is_named() {
    let moment = Duration::from_millis(10);
    for status in [404, 405, 400, 500, 429] {
        let answers: Answers = match status {
            404 => |_, _| answer(404, ""),
            405 => |_, _| answer(405, ""),
            400 => |_, _| answer(400, ""),
            500 => |_, _| answer(500, ""),
            _ => |_, _| answer(429, ""),
        };
        let (target, _) = server(answers).await;
        ready(&target, moment, true).await.unwrap_or_else(|error| panic!("{status}: {error}"));
        ready(&target, moment, false).await.expect_err("nobody knows the model");
    }
    let (target, _) = server(|_, _| answer(503, "")).await;
    ready(&target, moment, true).await.expect_err("it is still starting");
}

#[tokio::test]
async fn models_are_read_in_every_form_of_a_list() {
    for (body, names) in [
        (r#"{"data":[{"id":"a"},{"id":"b"}],"models":[{"name":"x"}]}"#, &["a", "b"][..]),
        (r#"[{"id":"a"},{"object":"model","id":"b"}]"#, &["a", "b"]),
        (r#"["a","b"]"#, &["a", "b"]),
        (r#"{"models":[{"name":"llama3:latest","model":"llama3:latest"}]}"#, &["llama3:latest"]),
        (r#"{"models":["a"]}"#, &["a"]),
        (r#"{"data":[]}"#, &[]),
    ] {
        let json: Value = serde_json::from_str(body).expect("JSON");
        let answer = Answer {
            status: StatusCode::OK,
            url: place(),
            server: None,
            body: json.to_string().into_bytes(),
        };
        let listing = ModelListing { path: "/v1/models".into(), answer };
        assert_eq!(listing.names().expect("a list"), names, "{body}");
    }
    let answer = Answer { status: StatusCode::OK, url: place(), server: None, body: b"<html>".to_vec() };
    assert_eq!(ModelListing { path: "/v1/models".into(), answer }.names(), None);
}

#[tokio::test]
async fn models_are_listed_beside_the_endpoint() {
    let (mut target, _) = server(|path, _| match path {
        "/api/v3/models" => answer(200, r#"[{"id":"glm"}]"#),
        _ => answer(404, ""),
    })
    .await;
    target.base.set_path("/api/v3");
    target.endpoint = "/chat/completions".into();
    assert_eq!(control(&target).models().await.expect("models"), ["glm"]);
}

#[tokio::test]
async fn a_target_that_is_never_ready_gives_the_last_reason() {
    let (target, _) = server(|path, _| match path {
        "/health" => answer(503, r#"{"error":{"message":"Loading model"}}"#),
        _ => answer(404, ""),
    })
    .await;
    let error = ready(&target, Duration::from_millis(10), false).await.expect_err("not ready");
    assert_eq!(error.kind, ErrorKind::NotReady);
    let [health, models] = ["/health", "/v1/models"].map(|path| target.url(path));
    let reason = format!("was not ready after 0.01 s: {health} says 503 (Loading model); {models} says 404");
    assert!(error.message.ends_with(&reason), "{error}");
}

fn place() -> url::Url {
    url::Url::parse("http://h/v1/models").expect("a URL")
}

#[tokio::test]
async fn a_path_that_is_not_there_is_not_waited_for_to_the_end() {
    let begun = Instant::now();
    let (target, seen) = server(|_, _| answer(404, r#"{"detail":"Not Found"}"#)).await;
    let error = ready(&target, Duration::from_secs(3600), false).await.expect_err("never there");
    assert_eq!(error.kind, ErrorKind::Usage);
    let models = target.url("/v1/models");
    assert!(error.message.ends_with(&format!("{models} says 404 (Not Found)")), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(600));
    assert!(seen.lock().expect("calls").len() >= 6, "a gateway that starts may say so at first");
    // One that may still come is waited for.
    let (target, _) = server(|path, _| match path {
        "/health" => answer(503, ""),
        _ => answer(404, ""),
    })
    .await;
    let error = ready(&target, Duration::from_millis(2_500), false).await.expect_err("not ready");
    assert_eq!(error.kind, ErrorKind::NotReady);
}

/// A port on which nobody listens.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_until_the_time_is_over() {
    let target = target(closed_port().await);
    let error = ready(&target, Duration::from_millis(300), true).await.expect_err("nobody there");
    assert_eq!(error.kind, ErrorKind::NotReady);
    assert!(error.message.contains("refused"), "{error}");
    assert!(control(&target).fingerprint(None).await.is_empty());
}

#[tokio::test]
async fn waiting_ends_when_it_is_stopped() {
    let control = control(&target(closed_port().await));
    let looks = AtomicUsize::new(0);
    let stop = || looks.fetch_add(1, Ordering::Relaxed) > 0;
    let mut patience = Patience::new(Duration::from_secs(60), &stop, &|_, _| {});
    let error = control.ready(&mut patience, true).await.expect_err("stopped");
    assert_eq!(error.kind, ErrorKind::Interrupted);
}

#[tokio::test]
async fn a_metric_is_scraped_and_a_slip_in_its_name_is_pointed_out() {
    let (target, _) =
        server(|_, _| answer(200, "# TYPE vllm:running gauge\nvllm:running{engine=\"0\"} 3\n")).await;
    let control = control(&target);
    assert_eq!(control.scrape("vllm:running").await.expect("a value"), 3.0);
    let error = control.scrape("vllm:runing").await.expect_err("a slip");
    assert_eq!(error.hint.as_deref(), Some("did you mean \"vllm:running\"?"));
}
