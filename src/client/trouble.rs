//! What went wrong between us and a TLS server, in words that say what to do.

use rustls::{AlertDescription as Alert, CertificateError as Bad, Error as Tls, InvalidMessage};
use std::error::Error;
use std::io;

/// The words, when `error` or what caused it is about TLS.
pub fn words(error: &(dyn Error + 'static)) -> Option<String> {
    find(error).map(told)
}

/// No wait makes it good: a certificate that is not believed, a server of another language. A server
/// that is starting may send an alert as well.
pub fn lasts(error: &(dyn Error + 'static)) -> bool {
    use Alert::*;
    find(error).is_some_and(|tls| {
        matches!(
            tls,
            Tls::InvalidCertificate(_)
                | Tls::InvalidMessage(InvalidMessage::InvalidContentType)
                | Tls::PeerIncompatible(_)
                | Tls::AlertReceived(
                    ProtocolVersion
                        | HandshakeFailure
                        | InsufficientSecurity
                        | NoApplicationProtocol
                        | CertificateRequired
                )
        )
    })
}

fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Tls> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // An I/O error hides what it was made of from its list of causes.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = inside.and_then(|inside| inside.downcast_ref()).or_else(|| error.downcast_ref());
        if tls.is_some() {
            return tls;
        }
        cause = inside.map(|inside| inside as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

fn told(tls: &Tls) -> String {
    let alert = |told: &str| format!("the server refuses the TLS handshake: {told}");
    match tls {
        Tls::InvalidCertificate(bad) => format!(
            "invalid peer certificate: {}",
            match bad {
                Bad::UnknownIssuer => "it is signed by an authority that is not known here".into(),
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } =>
                    "it is for another host name".into(),
                Bad::Expired | Bad::ExpiredContext { .. } => "it has expired".into(),
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => "it is not valid yet".into(),
                Bad::Revoked => "it was revoked".into(),
                other => match format!("{other:?}") {
                    told if told.contains("CaUsedAsEndEntity") => "it is self-signed".into(),
                    told if told.contains("UnsupportedCertVersion") => "it is of X.509 version 1".into(),
                    told => told,
                },
            }
        ),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS at this port: write http:// in the base URL".into()
        }
        Tls::InvalidMessage(_) | Tls::DecryptError | Tls::PeerSentOversizedRecord => {
            format!("what the server sends is no TLS that holds together ({tls})")
        }
        Tls::AlertReceived(Alert::ProtocolVersion) => {
            alert("it has no version of TLS that is spoken here (1.2, 1.3)")
        }
        Tls::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity) => alert(
            "it has no ciphers, curves or kinds of keys that are known here (a P-521 certificate needs TLS 1.3)",
        ),
        Tls::AlertReceived(Alert::NoApplicationProtocol) => alert("it does not speak HTTP/1.1"),
        Tls::AlertReceived(Alert::UnrecognisedName) => alert("it does not know this host name"),
        Tls::AlertReceived(Alert::CertificateRequired) => {
            alert("it wants a certificate of the client, which is not supported")
        }
        Tls::AlertReceived(other) => alert(&format!("it says {other:?}")),
        Tls::PeerIncompatible(_) => format!("the server speaks no TLS that is spoken here (1.2, 1.3): {tls}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_found_however_deep_it_lies_and_other_errors_are_left_alone() {
        let tls = || Tls::InvalidCertificate(Bad::Expired);
        let expected = Some("invalid peer certificate: it has expired".to_string());
        assert_eq!(words(&tls()), expected);
        let io = || io::Error::new(io::ErrorKind::InvalidData, tls());
        assert_eq!(words(&io()), expected);
        assert_eq!(words(&io::Error::other(io())), expected);
        assert_eq!(words(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
        assert_eq!(words(&io::Error::other("certificate")), None);
        assert!(
            lasts(&io())
                && !lasts(&Tls::AlertReceived(Alert::InternalError))
                && !lasts(&io::Error::other("x"))
        );
    }
}
