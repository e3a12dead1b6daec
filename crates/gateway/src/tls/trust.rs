//! What the rules of a handshake mean to rustls, and what is checked in one.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme, SupportedProtocolVersion,
    version,
};
use std::sync::Arc;
use tidegate_model::{CipherSuite, TlsRules, TlsVersion};

/// The versions that rules allow.
pub(super) fn versions(rules: &TlsRules) -> Vec<&'static SupportedProtocolVersion> {
    [
        (TlsVersion::V1_3, &version::TLS13),
        (TlsVersion::V1_2, &version::TLS12),
    ]
    .into_iter()
    .filter(|(named, _)| rules.allows(*named))
    .map(|(_, version)| version)
    .collect()
}

/// The usual cryptography, without the cipher suites of TLS 1.2 that rules leave out.
pub(super) fn provider(rules: &TlsRules) -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if !rules.ciphers.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let named = CipherSuite::ALL
                .into_iter()
                .find(|named| suite_of(*named) == suite.suite());
            named.is_none_or(|named| rules.ciphers.contains(&named))
        });
    }
    Arc::new(provider)
}

fn suite_of(named: CipherSuite) -> rustls::CipherSuite {
    match named {
        CipherSuite::EcdsaAes128 => rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdsaAes256 => rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdsaChacha20 => {
            rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        CipherSuite::RsaAes128 => rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::RsaAes256 => rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::RsaChacha20 => {
            rustls::CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
    }
}

/// The first `depth` of the certificates that a peer has sent behind its own: no path through more of them is looked
/// for. Peers send them in order (RFC 8446 4.4.2).
pub(super) fn within<'a, 'd>(
    intermediates: &'a [CertificateDer<'d>],
    depth: u8,
) -> &'a [CertificateDer<'d>] {
    &intermediates[..intermediates.len().min(depth.into())]
}

/// The rest of a verifier: that the other side has the key of its certificate, by the algorithms of `self.provider`.
macro_rules! signatures_by_provider {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signed, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signed, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            let algorithms = &self.provider.signature_verification_algorithms;
            algorithms.supported_schemes()
        }
    };
}

/// Checks an endpoint's certificate for one name, whatever address is connected to.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) inner: Arc<WebPkiServerVerifier>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) name: ServerName<'static>,
    pub(super) depth: u8,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let intermediates = within(intermediates, self.depth);
        let inner = &self.inner;
        inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    signatures_by_provider!();
}

/// Takes any certificate, of whose key the endpoint has to show that it has it.
#[derive(Debug)]
pub(super) struct Unchecked {
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures_by_provider!();
}

/// Asks clients for a certificate and takes any, of whose key they have to show that they have it. Whether it is good is
/// for routes to say: only they know what becomes of a client without.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) provider: Arc<CryptoProvider>,
    /// Whose certificates clients should choose among.
    pub(super) hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    signatures_by_provider!();
}
