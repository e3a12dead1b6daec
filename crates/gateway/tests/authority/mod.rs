//! Authorities that sign certificates for tests.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // Each test file uses a part of it.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tidegate_model::{Authorities, Certificate, PrivateKey};

pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// Those that signed it, the nearest first, without the root.
    above: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
            above: String::new(),
        }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = named(name);
        params
    }

    /// One that this one signed.
    pub fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let above = format!("{pem}{}", self.above);
        Self {
            pem,
            issuer: Issuer::new(params, key),
            above,
        }
    }

    /// A certificate for a host, whose subject has this common name.
    pub fn sign(&self, host: &str, common_name: &str) -> Certificate {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name = named(common_name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certificate {
            chain: format!("{}{}", certificate.pem(), self.above),
            key: PrivateKey(key.serialize_pem()),
        }
    }

    pub fn pem(&self) -> Authorities {
        Authorities(self.pem.clone())
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap())
            .unwrap();
        roots
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Tidegate");
    name.push(DnType::CommonName, common_name);
    name
}

/// In the form that rustls takes.
pub fn parts(certificate: &Certificate) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes());
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificate.key.0.as_bytes()).unwrap();
    (chain, key)
}
