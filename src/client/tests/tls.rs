//! TLS as servers do it: each case with what comes of it, and beside it one that must succeed.

use super::*;
use base64_of::decoded;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::path::PathBuf;

/// A certificate with its key, and what a CA file must hold to believe it.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    believed_by: String,
}

/// Of these names, with whatever else is wanted, signed by an authority of its own.
fn signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let key = || KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut parameters = CertificateParams::new(names).expect("parameters");
    change(&mut parameters);
    let server_key = key();
    let certificate = parameters.signed_by(&server_key, &authority).expect("a certificate");
    Identity { chain: vec![certificate.der().clone()], key: server_key, believed_by: authority.pem() }
}

fn usual() -> Identity {
    signed(&["localhost", "127.0.0.1", "::1"], |_| {})
}

/// Signed by itself; `authority`: it says that it is one.
fn own(name: &str, authority: bool) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let mut parameters = CertificateParams::new(vec![name.to_string()]).expect("parameters");
    if authority {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = parameters.self_signed(&key).expect("a certificate");
    Identity { chain: vec![certificate.der().clone()], key, believed_by: certificate.pem() }
}

/// Of X.509 version 1, for localhost and the next hundred years; nobody has its key.
fn version_1() -> Identity {
    const DER: &str = "MIIBJDCBywIUI4ZJrwkTtOyfnRAhDlbyKBRAg0IwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTE5\
        MDYwNFoYDzIxMjYxMTA1MTkwNjA0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATwMIf0\
        C9IdKv8c1OdhKM37Bgy1O7sXfzOUP1tg0eGE2ziEs7cRX0p/A9ixrp7vwDI0rZkHi+o3TzGdpy0UUJj0MAoGCCqGSM49BAMCA0gA\
        MEUCIQDun5vWxPsTt8Ks5IyUQ/QvSb1F/tpKw9IyWlVQZ0TaoAIgCuKSUEOTVrGKbDeYSSZM5CnPq+l6Tcy92mG0WL6FO/A=";
    let der = decoded(DER);
    let believed_by = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", DER);
    Identity { chain: vec![der.into()], key: KeyPair::generate().expect("a key"), believed_by }
}

mod base64_of {
    /// The bytes that a text in base64 stands for.
    pub fn decoded(text: &str) -> Vec<u8> {
        let value = |byte: u8| match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
        for byte in text.bytes().filter(|byte| *byte != b'=' && !byte.is_ascii_whitespace()) {
            bits = bits << 6 | u32::from(value(byte));
            held += 6;
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held) as u8);
            }
        }
        bytes
    }
}

/// Gives out one certificate, to those who ask for this name when one is wanted.
#[derive(Debug)]
struct Gives {
    certified: Arc<CertifiedKey>,
    only_to: Option<&'static str>,
}

impl ResolvesServerCert for Gives {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = self.only_to.is_none_or(|name| hello.server_name() == Some(name));
        asked.then(|| self.certified.clone())
    }
}

/// How a server talks TLS.
struct Manner {
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: &'static [&'static [u8]],
    only_to: Option<&'static str>,
    tickets: usize,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner { versions: vec![&TLS12, &TLS13], alpn: &[], only_to: None, tickets: 2 }
    }
}

fn configured(identity: &Identity, manner: &Manner) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let key = PrivatePkcs8KeyDer::from(identity.key.serialize_der()).into();
    let key = provider.key_provider.load_private_key(key).expect("a key");
    let certified = Arc::new(CertifiedKey::new(identity.chain.clone(), key));
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&manner.versions).expect("versions").with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(Gives { certified, only_to: manner.only_to }));
    config.alpn_protocols = manner.alpn.iter().map(|name| name.to_vec()).collect();
    config.send_tls13_tickets = manner.tickets;
    Arc::new(config)
}

/// The server's end of a connection.
struct Peer {
    socket: TcpStream,
    session: ServerConnection,
}

impl Peer {
    /// Reads one request; false when there is none.
    fn request(&mut self) -> bool {
        let mut seen = Vec::new();
        while !seen.ends_with(b"}") {
            if self.session.complete_io(&mut self.socket).is_err() {
                return false;
            }
            let mut part = [0; 4096];
            match self.session.reader().read(&mut part) {
                Ok(0) => return false,
                Ok(n) => seen.extend_from_slice(&part[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// The records of this text.
    fn sealed(&mut self, text: &str) -> Vec<u8> {
        self.session.writer().write_all(text.as_bytes()).expect("memory");
        self.rest()
    }

    /// The records that the session has to send.
    fn rest(&mut self) -> Vec<u8> {
        let mut sealed = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut sealed).expect("memory");
        }
        sealed
    }

    fn says(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    fn stays_open(&mut self) {
        let _ = self.socket.read(&mut [0; 1]);
    }
}

type Talk = fn(usize, &mut Peer);

/// Listens with this identity and manner; `talk` is what it does on each connection.
fn tls_server(host: &str, identity: &Identity, manner: &Manner, talk: Talk) -> u16 {
    let config = configured(identity, manner);
    let listener = TcpListener::bind((host, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for n in 0.. {
            let Ok((socket, _)) = listener.accept() else { return };
            let session = ServerConnection::new(config.clone()).expect("a session");
            talk(n, &mut Peer { socket, session });
        }
    });
    port
}

/// What the client believes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Trust {
    System,
    File,
    All,
}

/// `n` requests one after another to `host`.
fn ask(host: &str, port: u16, identity: &Identity, trust: Trust, n: u64) -> Vec<Record> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &identity.believed_by).expect("written");
    let base = Target::base_url(&format!("https://{host}:{port}")).expect("a URL");
    let timeouts = Timeouts {
        connect: Duration::from_secs(2),
        idle: Duration::from_secs(2),
        first_token: Duration::from_secs(2),
        ..Timeouts::default()
    };
    let target = Target {
        timeouts,
        insecure: trust == Trust::All,
        ca_cert: (trust == Trust::File).then(|| PathBuf::from(file.path())),
        ..Target::new(base, Api::Completions)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = client_of(target).await;
        let mut records = Vec::new();
        for seq in 0..n {
            records.push(send(&client, seq).await);
        }
        records
    })
}

/// A whole reply whose length is known.
fn whole_reply() -> String {
    let body = whole();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A whole reply that ends with the connection.
fn until_close() -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{}",
        whole().replace("data: [DONE]\n\n", "")
    )
}

/// Answers every request as it should.
fn honest(_: usize, peer: &mut Peer) {
    while peer.request() {
        let reply = peer.sealed(&whole_reply());
        peer.says(&reply);
    }
}

#[track_caller]
fn ends(what: &str, records: &[Record], outcome: Outcome, words: &str) {
    for record in records {
        assert_eq!(record.outcome, outcome, "{what}: {:?}", record.error);
        let told = record.error.as_deref().unwrap_or_default();
        assert!(told.contains(words), "{what}: {told}");
    }
}

#[test]
fn a_certificate_is_believed_when_it_should_be_and_always_when_all_are() {
    let unknown = "it is signed by an authority that is not known here";
    let expired = |parameters: &mut CertificateParams| {
        parameters.not_before = date_time_ymd(2001, 1, 1);
        parameters.not_after = date_time_ymd(2002, 1, 1);
    };
    let early = |parameters: &mut CertificateParams| parameters.not_before = date_time_ymd(4000, 1, 1);
    // By the system's authorities, by the file that belongs to it: the words of the refusal, or none.
    for (what, identity, by_system, by_file) in [
        ("its own authority", usual(), unknown, ""),
        ("signed by itself", own("localhost", false), unknown, ""),
        ("an authority as server", own("localhost", true), "it is self-signed", ""),
        ("another name", signed(&["elsewhere.example"], |_| {}), unknown, "it is for another host name"),
        (
            "its own of another name",
            own("elsewhere.example", true),
            "it is self-signed",
            "it is for another host name",
        ),
        ("expired", signed(&["localhost"], expired), "invalid peer certificate", "it has expired"),
        ("not valid yet", signed(&["localhost"], early), "invalid peer certificate", "it is not valid yet"),
        ("version 1", version_1(), "it is of X.509 version 1", "it is of X.509 version 1"),
        (
            "no certificate at all",
            Identity { chain: vec![b"xx".to_vec().into()], ..usual() },
            "invalid peer certificate",
            "invalid peer certificate",
        ),
    ] {
        for (trust, refusal) in [(Trust::System, by_system), (Trust::File, by_file), (Trust::All, "")] {
            let port = tls_server("127.0.0.1", &identity, &Manner::default(), honest);
            let records = ask("localhost", port, &identity, trust, 2);
            let what = format!("{what}, {trust:?}");
            match refusal {
                "" => ends(&what, &records, Outcome::Success, ""),
                words => ends(&what, &records, Outcome::Connect, words),
            }
            assert!(
                records.iter().all(|record| record.connect_tries <= 1),
                "{what}: nobody tries that again"
            );
        }
    }
}

#[test]
fn versions_names_protocols_and_sizes_are_agreed_upon() {
    let long: Vec<String> = (0..1_500).map(|n| format!("host-{n}.inference.example")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).chain(["localhost"]).collect();
    let manner = Manner::default;
    let only = |version| Manner { versions: vec![version], ..manner() };
    for (what, host, identity, manner, outcome, words) in [
        ("TLS 1.2 alone", "localhost", usual(), only(&TLS12), Outcome::Success, ""),
        ("TLS 1.3 alone", "localhost", usual(), only(&TLS13), Outcome::Success, ""),
        ("an address", "127.0.0.1", usual(), manner(), Outcome::Success, ""),
        ("IPv6", "[::1]", usual(), manner(), Outcome::Success, ""),
        (
            "IPv6, of another",
            "[::1]",
            signed(&["localhost"], |_| {}),
            manner(),
            Outcome::Connect,
            "another host name",
        ),
        (
            "the name is told",
            "localhost",
            usual(),
            Manner { only_to: Some("localhost"), ..manner() },
            Outcome::Success,
            "",
        ),
        (
            "an unknown name",
            "localhost",
            usual(),
            Manner { only_to: Some("other"), ..manner() },
            Outcome::Connect,
            "refuses the TLS handshake",
        ),
        (
            "HTTP/1.1 is asked for",
            "localhost",
            usual(),
            Manner { alpn: &[b"h2", b"http/1.1"], ..manner() },
            Outcome::Success,
            "",
        ),
        (
            "HTTP/2 alone",
            "localhost",
            usual(),
            Manner { alpn: &[b"h2"], ..manner() },
            Outcome::Connect,
            "it does not speak HTTP/1.1",
        ),
        ("a long certificate", "localhost", signed(&long, |_| {}), manner(), Outcome::Success, ""),
        ("no tickets", "localhost", usual(), Manner { tickets: 0, ..manner() }, Outcome::Success, ""),
        ("many tickets", "localhost", usual(), Manner { tickets: 50, ..manner() }, Outcome::Success, ""),
    ] {
        let bound = host.trim_matches(['[', ']']);
        let bound = if bound == "localhost" { "127.0.0.1" } else { bound };
        let port = tls_server(bound, &identity, &manner, honest);
        let records = ask(host, port, &identity, Trust::File, 3);
        ends(what, &records, outcome, words);
        if outcome == Outcome::Success {
            assert_eq!(records.iter().filter(|record| record.reused).count(), 2, "{what}");
        }
    }
}

#[test]
fn a_reply_ends_where_it_ends_however_the_connection_does() {
    const CASES: &[(&str, Talk, Outcome, &str)] = &[
        (
            "a goodbye in the read of the last bytes, and nothing after it",
            |_, peer| {
                peer.request();
                let mut reply = peer.sealed(&until_close());
                peer.session.send_close_notify();
                reply.append(&mut peer.rest());
                peer.says(&reply);
                peer.stays_open();
            },
            Outcome::Success,
            "",
        ),
        (
            "a goodbye of its own",
            |_, peer| {
                peer.request();
                let reply = peer.sealed(&until_close());
                peer.says(&reply);
                std::thread::sleep(Duration::from_millis(30));
                peer.session.send_close_notify();
                let goodbye = peer.rest();
                peer.says(&goodbye);
                peer.stays_open();
            },
            Outcome::Success,
            "",
        ),
        (
            "no goodbye after a whole reply",
            |_, peer| {
                peer.request();
                let reply = peer.sealed(&whole_reply());
                peer.says(&reply);
            },
            Outcome::Success,
            "",
        ),
        (
            "no goodbye, and the end of the connection is the end of the reply",
            |_, peer| {
                peer.request();
                let reply = peer.sealed(&until_close());
                peer.says(&reply);
            },
            Outcome::Success,
            "",
        ),
        (
            "no goodbye in the middle of a reply",
            |_, peer| {
                peer.request();
                let reply = whole_reply();
                let half = peer.sealed(&reply[..reply.len() - 40]);
                peer.says(&half);
            },
            Outcome::Truncated,
            "closed the connection before the body ended",
        ),
        (
            "a goodbye in the middle of a reply",
            |_, peer| {
                peer.request();
                let reply = whole_reply();
                let mut half = peer.sealed(&reply[..reply.len() - 40]);
                peer.session.send_close_notify();
                half.append(&mut peer.rest());
                peer.says(&half);
                peer.stays_open();
            },
            Outcome::Truncated,
            "closed the connection before the body ended",
        ),
        (
            "a cut in the middle of a record",
            |_, peer| {
                peer.request();
                let reply = peer.sealed(&whole_reply());
                peer.says(&reply[..reply.len() - 9]);
            },
            Outcome::Disconnected,
            "before any response",
        ),
        (
            "a goodbye instead of a reply",
            |_, peer| {
                peer.request();
                peer.session.send_close_notify();
                let goodbye = peer.rest();
                peer.says(&goodbye);
                peer.stays_open();
            },
            Outcome::Disconnected,
            "before any response",
        ),
        (
            "rubbish behind a whole reply",
            |_, peer| {
                peer.request();
                let mut reply = peer.sealed(&whole_reply());
                reply.extend_from_slice(b"\x17\x03\x03\x00\x20rubbish rubbish rubbish rubbish!");
                peer.says(&reply);
                peer.stays_open();
            },
            Outcome::Success,
            "",
        ),
        (
            "rubbish in the middle of a reply",
            |_, peer| {
                peer.request();
                let reply = whole_reply();
                let mut half = peer.sealed(&reply[..reply.len() - 40]);
                half.extend_from_slice(b"\x17\x03\x03\x00\x20rubbish rubbish rubbish rubbish!");
                peer.says(&half);
                peer.stays_open();
            },
            Outcome::Truncated,
            "the connection broke before the body ended",
        ),
        (
            "a record for each byte, in pieces",
            |_, peer| {
                while peer.request() {
                    let sealed: Vec<u8> =
                        whole_reply().chars().flat_map(|byte| peer.sealed(&byte.to_string())).collect();
                    for piece in sealed.chunks(700) {
                        peer.says(piece);
                    }
                }
            },
            Outcome::Success,
            "",
        ),
        (
            "new keys before each reply",
            |_, peer| {
                while peer.request() {
                    let _ = peer.session.refresh_traffic_keys();
                    let reply = peer.sealed(&whole_reply());
                    peer.says(&reply);
                }
            },
            Outcome::Success,
            "",
        ),
    ];
    let identity = usual();
    for (what, talk, outcome, words) in CASES {
        let port = tls_server("127.0.0.1", &identity, &Manner::default(), *talk);
        let records = ask("localhost", port, &identity, Trust::File, 2);
        ends(what, &records, *outcome, words);
        assert!(records.iter().all(|record| record.reconnects == 0), "{what}");
    }
}

#[test]
fn whoever_speaks_another_language_is_told_so() {
    let identity = usual();
    // TLS to a server of plain HTTP.
    let port = server(2, |_, mut socket| {
        let _ = socket.read(&mut [0; 100]);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        let _ = socket.read(&mut [0; 1]);
    });
    let words = "the server does not speak TLS at this port: write http:// in the base URL";
    ends("TLS to plain", &ask("localhost", port, &identity, Trust::All, 1), Outcome::Connect, words);
    // Plain HTTP to a server of TLS, which says what it thinks of that.
    let port = tls_server("127.0.0.1", &identity, &Manner::default(), |_, peer| {
        let _ = peer.session.complete_io(&mut peer.socket);
        let alert = peer.rest();
        peer.says(&alert);
        peer.stays_open();
    });
    let words = "the server speaks TLS where plain HTTP was sent: write https:// in the base URL";
    ends("plain to TLS", &play(port, 1, Timeouts::default()), Outcome::Protocol, words);
    // As nginx says it.
    let port = server(1, |_, mut socket| {
        request(&mut socket);
        let body = "<html>The plain HTTP request was sent to HTTPS port</html>";
        let _ = write!(socket, "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    });
    ends("plain to nginx", &play(port, 1, Timeouts::default()), Outcome::Status, "sent to HTTPS port");
    // A server that says nothing at all.
    let port = server(2, |_, mut socket| {
        let mut buffer = [0; 4096];
        while socket.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
    let records = ask("localhost", port, &identity, Trust::All, 1);
    ends(
        "a mute handshake",
        &records,
        Outcome::TimedOut(Timeout::Connect),
        "within the connect timeout of 2 s",
    );
    // One that never stops, but never comes to an end.
    let port = server(2, |_, mut socket| {
        let _ = socket.write_all(b"\x16\x03\x03\x40\x00\x02\x00\xff\xff");
        while socket.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let records = ask("localhost", port, &identity, Trust::All, 1);
    assert!(
        matches!(records[0].outcome, Outcome::TimedOut(Timeout::Connect) | Outcome::Connect),
        "{records:?}"
    );
    // One that hangs up in the middle: it may be starting, but this request is not one of a run.
    let port = server(2, |_, mut socket| {
        let _ = socket.read(&mut [0; 100]);
    });
    let records = ask("localhost", port, &identity, Trust::All, 1);
    assert_eq!((records[0].outcome, records[0].connect_tries), (Outcome::Connect, 1));
}
