//! TLS: which certificates are believed. One configuration serves the timed connections and
//! the control plane alike.

use crate::error::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme,
    WantsVerifier,
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::path::Path;
use std::sync::Arc;

/// A configuration that believes the certificates of the system; with `ca_cert`, those that a
/// file in PEM names, as authorities or as the server's own, and no others; with `insecure`, every one. It speaks
/// HTTP/1.1 only. Fails when the file cannot be read or holds no certificate, or the system has
/// none.
pub fn config(insecure: bool, ca_cert: Option<&Path>) -> Result<Arc<ClientConfig>> {
    let builder = builder();
    let builder = if insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(BelieveAll))
    } else if let Some(path) = ca_cert {
        let believe = Arc::new(BelieveFile::read(path, builder.crypto_provider().clone())?);
        builder.dangerous().with_custom_certificate_verifier(believe)
    } else {
        builder.with_platform_verifier().map_err(|error| {
            Error::run(format!("cannot load the certificates of the system: {error}"))
                .hint("give the server's authority as a CA file, or install the package ca-certificates")
        })?
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A configuration that believes no certificate, for a client that must have one and speaks
/// plain HTTP.
pub fn believing_nobody() -> Arc<ClientConfig> {
    Arc::new(builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    // Named here, since the process has no default provider for a library to find.
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring can do TLS 1.2 and 1.3")
}

/// Takes what the authorities of a file have signed, and what stands in the file itself: most
/// self-signed certificates call themselves an authority, which a server's must not otherwise.
#[derive(Debug)]
struct BelieveFile {
    certificates: Vec<CertificateDer<'static>>,
    by_authority: Arc<WebPkiServerVerifier>,
}

impl BelieveFile {
    fn read(path: &Path, provider: Arc<CryptoProvider>) -> Result<Self> {
        let shown = path.display();
        let unusable = |error: &dyn std::fmt::Display| {
            Error::usage(format!("cannot use a certificate of the CA file {shown}: {error}"))
        };
        let pem = crate::os::file::read(path, 16 << 20)
            .map_err(|error| Error::usage(format!("cannot read the CA file {shown}: {error}")))?;
        let mut certificates = Vec::new();
        let mut authorities = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate
                .map_err(|error| Error::usage(format!("cannot read the CA file {shown} as PEM: {error}")))?;
            authorities.add(certificate.clone()).map_err(|error| unusable(&error))?;
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(Error::usage(format!("the CA file {shown} holds no certificate"))
                .hint("give a PEM file with a block that begins -----BEGIN CERTIFICATE-----"));
        }
        let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider)
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(BelieveFile { certificates, by_authority })
    }
}

impl ServerCertVerifier for BelieveFile {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let verified = self.by_authority.verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verified {
            // An expired one, or one of a wrong name, has an error of its own.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.certificates.iter().any(|known| known == certificate) =>
            {
                verify_server_name(&certificate.try_into()?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

/// Takes any certificate, and any signature with it: not one byte of a certificate is looked at, so
/// that old versions, short keys and rare curves are as good as others. That both sides have the
/// same keys is still proved at the end of the handshake.
#[derive(Debug)]
struct BelieveAll;

impl ServerCertVerifier for BelieveAll {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme::*;
        vec![
            ECDSA_NISTP256_SHA256,
            ECDSA_NISTP384_SHA384,
            ECDSA_NISTP521_SHA512,
            ED25519,
            ED448,
            RSA_PSS_SHA256,
            RSA_PSS_SHA384,
            RSA_PSS_SHA512,
            RSA_PKCS1_SHA256,
            RSA_PKCS1_SHA384,
            RSA_PKCS1_SHA512,
            ECDSA_SHA1_Legacy,
            RSA_PKCS1_SHA1,
        ]
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ClientConnection, ServerConfig, ServerConnection};

    /// A server for `localhost`, and its authority as PEM.
    pub fn server() -> (Arc<ServerConfig>, String) {
        let key = || KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");
        let server_key = key();
        let parameters = CertificateParams::new(vec!["localhost".to_string()]).expect("parameters");
        let certificate = parameters.signed_by(&server_key, &authority).expect("a certificate");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(server_key.serialize_der()).into(),
            )
            .expect("a server");
        (Arc::new(config), authority.pem())
    }

    /// Shakes hands in memory.
    fn connect(
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
    ) -> std::result::Result<(), rustls::Error> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(client, name)?;
        let mut server = ServerConnection::new(server)?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut flight = Vec::new();
            client.write_tls(&mut flight).expect("memory");
            server.read_tls(&mut flight.as_slice()).expect("memory");
            // The client's alert is what the test looks at; the server's view of it is not.
            let _ = server.process_new_packets();
            flight.clear();
            server.write_tls(&mut flight).expect("memory");
            client.read_tls(&mut flight.as_slice()).expect("memory");
            client.process_new_packets()?;
        }
        Ok(())
    }

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), content).expect("written");
        file
    }

    #[test]
    fn a_server_is_believed_by_its_authority_or_when_all_are() {
        let (server, authority) = server();
        let authority = file(&authority);
        let by_file = config(false, Some(authority.path())).expect("a configuration");
        assert_eq!(by_file.alpn_protocols, [b"http/1.1"]);
        assert_eq!(connect(by_file, server.clone()), Ok(()));
        assert_eq!(connect(config(true, None).expect("a configuration"), server), Ok(()));
    }

    /// A server whose certificate has signed itself and calls itself an authority.
    fn self_signed(name: &str) -> (Arc<ServerConfig>, String) {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(vec![name.to_string()]).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .expect("a server");
        (Arc::new(config), certificate.pem())
    }

    #[test]
    fn a_self_signed_server_is_believed_by_its_own_certificate_and_name() {
        let (server, own) = self_signed("localhost");
        let own = file(&own);
        let by_file = || config(false, Some(own.path())).expect("a configuration");
        assert_eq!(connect(by_file(), server), Ok(()));
        let (stranger, _) = self_signed("localhost");
        assert!(connect(by_file(), stranger).is_err());
        let (elsewhere, other_name) = self_signed("elsewhere");
        let other_name = file(&other_name);
        let config = config(false, Some(other_name.path())).expect("a configuration");
        assert!(connect(config, elsewhere).is_err());
    }

    #[test]
    fn a_server_of_another_authority_is_refused() {
        let (server, _) = server();
        let (_, other) = super::tests::server();
        let other = file(&other);
        let config = config(false, Some(other.path())).expect("a configuration");
        assert!(matches!(connect(config, server), Err(rustls::Error::InvalidCertificate(_))));
    }

    #[test]
    fn a_ca_file_that_is_missing_empty_or_broken_is_named() {
        let error = config(false, Some(Path::new("/nowhere/ca.pem"))).expect_err("missing");
        assert!(error.message.starts_with("cannot read the CA file /nowhere/ca.pem: "), "{error}");
        for (content, words) in [
            ("", "holds no certificate"),
            ("hello", "holds no certificate"),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n", "as PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot use a certificate"),
        ] {
            let file = file(content);
            let error = config(false, Some(file.path())).expect_err(content);
            assert!(error.message.contains(words), "{content:?}: {error}");
            assert!(error.message.contains(&file.path().display().to_string()), "{error}");
        }
    }
}
