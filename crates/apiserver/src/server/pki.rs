//! The cluster's own certificate authority, its server certificate and the admin's client certificate.

use super::files;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Lifetime of the authority.
const CA_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Lifetime of what it signs.
const LEAF_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// A certificate that ends sooner than this is replaced at start.
const RENEW_BEFORE: Duration = Duration::from_secs(60 * 24 * 3600);

/// Why the certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What we were doing.
        doing: &'static str,
        /// Which file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[source] rcgen::Error),
    /// A certificate or key on disk cannot be used; move the file away to have a new one made.
    #[error("{what} cannot be used: {why}; move the pki directory away to have new ones made")]
    Unusable {
        /// Which part.
        what: &'static str,
        /// The cause, as text.
        why: String,
    },
}

struct Pair {
    cert: String,
    key: String,
}

/// Everything, as PEM.
pub(super) struct Pki {
    ca: Pair,
    server: Pair,
    admin: Pair,
}

impl Pki {
    /// Reads what is there and makes what is missing, ending, or does not fit the address.
    pub(super) fn open(dir: Option<&Path>, listen: IpAddr) -> Result<Pki, PkiError> {
        if let Some(dir) = dir {
            files::create_private_dir(dir).map_err(|e| file_error("create", dir, e))?;
        }
        let ca = match read_pair(dir, "ca")? {
            Some(pair) => pair,
            None => keep(dir, "ca", make_ca()?)?,
        };
        let signer = KeyPair::from_pem(&ca.key).map_err(|e| unusable("the CA's key", e))?;
        let issuer = Issuer::from_ca_cert_pem(&ca.cert, signer)
            .map_err(|e| unusable("the CA's certificate", e))?;
        let addresses = server_addresses(listen);
        let server = match read_pair(dir, "server")? {
            Some(pair) if still_good(&pair.cert, &addresses) => pair,
            _ => keep(dir, "server", make_server(&issuer, &addresses)?)?,
        };
        let admin = match read_pair(dir, "admin")? {
            Some(pair) if still_good(&pair.cert, &[]) => pair,
            _ => keep(dir, "admin", make_admin(&issuer)?)?,
        };
        Ok(Pki { ca, server, admin })
    }

    /// A kubeconfig for the admin.
    pub(super) fn kubeconfig(&self, cluster: &str, address: SocketAddr) -> String {
        let host = match address.ip() {
            ip if ip.is_unspecified() && ip.is_ipv4() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let server = SocketAddr::new(host, address.port());
        let [ca, cert, key] =
            [&self.ca.cert, &self.admin.cert, &self.admin.key].map(|pem| BASE64.encode(pem));
        // A JSON string is a YAML string, whatever the cluster's name contains.
        let name = serde_json::Value::from(cluster).to_string();
        let user = serde_json::Value::from(format!("{cluster}-admin")).to_string();
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    certificate-authority-data: {ca}\n    server: https://{server}\nusers:\n- name: {user}\n  user:\n    client-certificate-data: {cert}\n    client-key-data: {key}\ncontexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {user}\ncurrent-context: {name}\n"
        )
    }

    /// TLS for the listener: client certificates of our CA are checked when offered, not demanded.
    pub(super) fn server_config(&self) -> Result<rustls::ServerConfig, PkiError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.ca.cert.as_bytes())
            .map_err(|e| unusable("the CA's certificate", e))?;
        roots
            .add(ca)
            .map_err(|e| unusable("the CA's certificate", e))?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|e| unusable("the CA's certificate", e))?;
        let cert = CertificateDer::from_pem_slice(self.server.cert.as_bytes())
            .map_err(|e| unusable("the server's certificate", e))?;
        let key = PrivateKeyDer::from_pem_slice(self.server.key.as_bytes())
            .map_err(|e| unusable("the server's key", e))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable("the TLS provider", e))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![cert], key)
            .map_err(|e| unusable("the server's certificate", e))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn file_error(doing: &'static str, path: &Path, source: std::io::Error) -> PkiError {
    PkiError::File {
        doing,
        path: path.display().to_string(),
        source,
    }
}

fn unusable(what: &'static str, why: impl std::fmt::Display) -> PkiError {
    PkiError::Unusable {
        what,
        why: why.to_string(),
    }
}

fn read_pair(dir: Option<&Path>, name: &str) -> Result<Option<Pair>, PkiError> {
    let Some(dir) = dir else { return Ok(None) };
    let read = |end: &str| {
        let path = dir.join(format!("{name}.{end}"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(file_error("read", &path, e)),
        }
    };
    // The certificate is written last, so a pair that was cut off half-way is made anew.
    Ok(read("crt")?
        .zip(read("key")?)
        .map(|(cert, key)| Pair { cert, key }))
}

fn keep(dir: Option<&Path>, name: &str, pair: Pair) -> Result<Pair, PkiError> {
    if let Some(dir) = dir {
        for (end, text) in [("key", &pair.key), ("crt", &pair.cert)] {
            let path = dir.join(format!("{name}.{end}"));
            files::write_private(&path, text.as_bytes())
                .map_err(|e| file_error("write", &path, e))?;
        }
    }
    Ok(pair)
}

fn make_ca() -> Result<Pair, PkiError> {
    let mut params = params("kubernetes-ca", CA_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate().map_err(PkiError::Make)?;
    let cert = params.self_signed(&key).map_err(PkiError::Make)?;
    Ok(Pair {
        cert: cert.pem(),
        key: key.serialize_pem(),
    })
}

fn params(common_name: &str, life: Duration) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(Vec::<String>::new()).map_err(PkiError::Make)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    // A day back, for clients whose clock is behind.
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + life).into();
    Ok(params)
}

fn sign(issuer: &Issuer<'_, KeyPair>, params: &CertificateParams) -> Result<Pair, PkiError> {
    let key = KeyPair::generate().map_err(PkiError::Make)?;
    let cert = params.signed_by(&key, issuer).map_err(PkiError::Make)?;
    Ok(Pair {
        cert: cert.pem(),
        key: key.serialize_pem(),
    })
}

fn make_server(issuer: &Issuer<'_, KeyPair>, addresses: &[IpAddr]) -> Result<Pair, PkiError> {
    let mut params = params("kube-apiserver", LEAF_LIFE)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = addresses.iter().copied().map(SanType::IpAddress).collect();
    for name in [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
    ] {
        let name = name.try_into().map_err(PkiError::Make)?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    sign(issuer, &params)
}

fn make_admin(issuer: &Issuer<'_, KeyPair>) -> Result<Pair, PkiError> {
    let mut params = params("kubernetes-admin", LEAF_LIFE)?;
    params
        .distinguished_name
        .push(DnType::OrganizationName, super::auth::MASTERS);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    sign(issuer, &params)
}

fn server_addresses(listen: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    if !listen.is_unspecified() && !all.contains(&listen) {
        all.push(listen);
    }
    all
}

/// Whether a certificate lasts a while and names all addresses.
fn still_good(pem: &str, addresses: &[IpAddr]) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else {
        return false;
    };
    let Ok((_, cert)) = X509Certificate::from_der(&der) else {
        return false;
    };
    let end = u64::try_from(cert.validity().not_after.timestamp()).unwrap_or(0);
    let lasts =
        SystemTime::UNIX_EPOCH + Duration::from_secs(end) > SystemTime::now() + RENEW_BEFORE;
    let names = cert
        .subject_alternative_name()
        .ok()
        .flatten()
        .map_or(&[][..], |n| n.value.general_names.as_slice());
    let named = |ip: &IpAddr| {
        let octets = match ip {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        names
            .iter()
            .any(|n| matches!(n, GeneralName::IPAddress(bytes) if *bytes == octets.as_slice()))
    };
    lasts && addresses.iter().all(named)
}
