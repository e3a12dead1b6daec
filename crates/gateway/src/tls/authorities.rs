//! Certificates of authorities, as far as they can be read.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, RootCertStore};
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::{Authorities, CertificateId, SharedMap, SharedPart};

/// All authorities of a snapshot. Those that did not change are shared with the one before.
#[derive(Debug, Default)]
pub struct Trusted {
    all: HashMap<CertificateId, Known>,
}

/// A text, and what could be read in it.
#[derive(Debug)]
struct Known {
    text: SharedPart<Authorities>,
    read: Result<Arc<Anchors>, String>,
}

/// Authorities, and what checks certificates of clients for them.
#[derive(Debug)]
pub(crate) struct Anchors {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) clients: Arc<dyn ClientCertVerifier>,
}

/// Authorities that something names; the outer `None` names none.
pub(super) type Named = Option<Result<Arc<Anchors>, String>>;

/// Whether two mean the very same, so that what was made of one serves the other.
pub(super) fn are_same(a: &Named, b: &Named) -> bool {
    match (a, b) {
        (Some(Ok(a)), Some(Ok(b))) => Arc::ptr_eq(a, b),
        (Some(Err(a)), Some(Err(b))) => a == b,
        (None, None) => true,
        (Some(_) | None, Some(_) | None) => false,
    }
}

impl Trusted {
    /// Reads what `authorities` holds and `previous` does not.
    pub(crate) fn compile(
        authorities: &SharedMap<CertificateId, SharedPart<Authorities>>,
        previous: Option<&Self>,
    ) -> Self {
        let mut all = HashMap::new();
        for (id, text) in authorities {
            let known = previous.and_then(|p| p.all.get(id));
            let read = match known.filter(|known| known.text == *text) {
                Some(known) => known.read.clone(),
                None => Anchors::read(text).map(Arc::new),
            };
            let text = text.clone();
            all.insert(id.clone(), Known { text, read });
        }
        Self { all }
    }

    /// Those of this name.
    ///
    /// # Errors
    /// Why there are none that can be used.
    pub(crate) fn get(&self, id: &CertificateId) -> Result<&Arc<Anchors>, String> {
        match self.all.get(id).map(|known| &known.read) {
            Some(Ok(anchors)) => Ok(anchors),
            Some(Err(why)) => Err(format!("authorities {id}: {why}")),
            None => Err(format!("there are no authorities {id}")),
        }
    }

    /// Those that cannot be read, with the reason.
    pub(crate) fn unusable(&self) -> impl Iterator<Item = (&CertificateId, &str)> {
        self.all
            .iter()
            .filter_map(|(id, known)| Some((id, known.read.as_ref().err()?.as_str())))
    }
}

impl Anchors {
    fn read(text: &Authorities) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(text.0.as_bytes()) {
            let certificate = certificate.map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        if roots.is_empty() {
            return Err("it holds no certificate".to_owned());
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider);
        let clients = clients.build().map_err(|error| error.to_string())?;
        Ok(Self { roots, clients })
    }

    /// Checks a client's certificate, the first of `chain`, with at most `depth` of those behind it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_client(
        &self,
        chain: &[CertificateDer<'static>],
        depth: u8,
    ) -> Result<(), Error> {
        let Some((first, others)) = chain.split_first() else {
            return Err(Error::NoCertificatesPresented);
        };
        let others = super::trust::within(others, depth);
        let checked = self
            .clients
            .verify_client_cert(first, others, UnixTime::now());
        checked.map(drop)
    }
}
