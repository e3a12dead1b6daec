//! The digest of a snapshot's content.

use serde::{Deserialize, Serialize};
use std::fmt;
use tidegate_model::{
    Authorities, Backend, BackendId, Certificate, CertificateId, Forward, Handshake, HostPattern,
    Route, Settings, SharedPart, Snapshot,
};

/// Names the content of a snapshot, whatever its generation.
///
/// It is the sum, modulo 2^64 in each of four lanes, of the BLAKE3 digests of all parts (settings, each
/// host's routes, certificate, handshake and passthrough, each backend, certificate and bundle of authorities) with their names. So a
/// changed part costs one part's work: subtract the old, add the new. It protects from mistakes, not from an enemy; who may write to the feed is the socket's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u64; 4]);

impl Digest {
    /// The digest of all of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut sum = Self::of_settings(&snapshot.settings);
        for (host, routes) in &snapshot.hosts {
            sum.add(Self::of_host(host, routes));
        }
        for (id, backend) in &snapshot.backends {
            sum.add(Self::of_backend(id, backend));
        }
        for (host, certificate) in &snapshot.tls {
            sum.add(Self::of_tls(host, certificate));
        }
        for (id, certificate) in &snapshot.certificates {
            sum.add(Self::of_certificate(id, certificate));
        }
        for (id, authorities) in &snapshot.authorities {
            sum.add(Self::of_authorities(id, authorities));
        }
        for (host, handshake) in &snapshot.handshakes {
            sum.add(Self::of_handshake(host, handshake));
        }
        for (host, forward) in &snapshot.passthrough {
            sum.add(Self::of_passthrough(host, forward));
        }
        sum
    }

    pub(crate) fn of_settings(settings: &Settings) -> Self {
        Self::of_part("settings", "", settings)
    }

    pub(crate) fn of_host(host: &HostPattern, routes: &SharedPart<Vec<Route>>) -> Self {
        Self::of_part("host", &host.to_string(), routes)
    }

    pub(crate) fn of_backend(id: &BackendId, backend: &SharedPart<Backend>) -> Self {
        Self::of_part("backend", id.as_str(), backend)
    }

    pub(crate) fn of_tls(host: &HostPattern, certificate: &CertificateId) -> Self {
        Self::of_part("tls", &host.to_string(), certificate)
    }

    pub(crate) fn of_certificate(
        id: &CertificateId,
        certificate: &SharedPart<Certificate>,
    ) -> Self {
        Self::of_part("certificate", id.as_str(), certificate)
    }

    pub(crate) fn of_authorities(
        id: &CertificateId,
        authorities: &SharedPart<Authorities>,
    ) -> Self {
        Self::of_part("authorities", id.as_str(), authorities)
    }

    pub(crate) fn of_handshake(host: &HostPattern, handshake: &SharedPart<Handshake>) -> Self {
        Self::of_part("handshake", &host.to_string(), handshake)
    }

    pub(crate) fn of_passthrough(host: &HostPattern, forward: &SharedPart<Forward>) -> Self {
        Self::of_part("passthrough", &host.to_string(), forward)
    }

    /// The JSON form is canonical: fields in the order of the type, maps sorted by key.
    fn of_part(kind: &str, name: &str, part: &impl Serialize) -> Self {
        let mut hasher = blake3::Hasher::new();
        // Neither kinds nor names hold a zero byte, so parts cannot be mistaken for one another.
        hasher.update(kind.as_bytes()).update(b"\0");
        hasher.update(name.as_bytes()).update(b"\0");
        serde_json::to_writer(&mut hasher, part).expect("plain values always have a JSON form");
        let bytes = hasher.finalize();
        let mut lanes = [0; 4];
        for (lane, bytes) in lanes.iter_mut().zip(bytes.as_bytes().chunks_exact(8)) {
            *lane = u64::from_le_bytes(bytes.try_into().expect("the chunks have eight bytes"));
        }
        Self(lanes)
    }

    pub(crate) fn add(&mut self, part: Self) {
        for (lane, part) in self.0.iter_mut().zip(part.0) {
            *lane = lane.wrapping_add(part);
        }
    }

    pub(crate) fn subtract(&mut self, part: Self) {
        for (lane, part) in self.0.iter_mut().zip(part.0) {
            *lane = lane.wrapping_sub(part);
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|lane| write!(f, "{lane:016x}"))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        const WANTED: &str = "a digest has 64 hexadecimal digits";
        let mut lanes = [0; 4];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(WANTED);
        }
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = u64::from_str_radix(&text[i * 16..(i + 1) * 16], 16).map_err(|_| WANTED)?;
        }
        Ok(Self(lanes))
    }
}
