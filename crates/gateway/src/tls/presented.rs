//! What a client that was asked for a certificate has shown.

use super::authorities::Anchors;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;
use std::cell::{OnceCell, RefCell};
use std::fmt::Write;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

/// The certificate of one connection, or that there was none.
#[derive(Debug)]
pub(crate) struct Presented {
    chain: Vec<CertificateDer<'static>>,
    said: OnceCell<Said>,
    last: RefCell<Option<Checked>>,
}

/// A check that was made.
#[derive(Debug)]
struct Checked {
    by: Arc<Anchors>,
    depth: u8,
    result: Result<(), String>,
}

/// What a certificate says, in the forms that backends are told.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// RFC 4514, in ASCII.
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) common_names: Vec<String>,
    /// PEM, percent-encoded.
    pub(crate) escaped: String,
}

impl Presented {
    pub(super) fn of(connection: &ServerConnection) -> Self {
        Self {
            chain: connection.peer_certificates().unwrap_or_default().to_vec(),
            said: OnceCell::new(),
            last: RefCell::default(),
        }
    }

    /// Whether there was none.
    pub(crate) fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// What it says; nothing if there was none.
    pub(crate) fn said(&self) -> &Said {
        self.said.get_or_init(|| {
            let read = self.chain.first().map(read);
            read.unwrap_or_default()
        })
    }

    /// Whether one of these authorities has signed it, with at most `depth` between. Remembered: a connection's
    /// certificate is checked once, as long as the authorities are the same.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, anchors: &Arc<Anchors>, depth: u8) -> Result<(), String> {
        if let Some(last) = &*self.last.borrow()
            && Arc::ptr_eq(&last.by, anchors)
            && last.depth == depth
        {
            return last.result.clone();
        }
        let result = anchors.check_client(&self.chain, depth);
        let result = result.map_err(|error| error.to_string());
        *self.last.borrow_mut() = Some(Checked {
            by: Arc::clone(anchors),
            depth,
            result: result.clone(),
        });
        result
    }
}

fn read(certificate: &CertificateDer<'static>) -> Said {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Said::default();
    };
    let common_names = parsed.subject().iter_common_name();
    Said {
        subject: distinguished_name(parsed.subject()),
        issuer: distinguished_name(parsed.issuer()),
        common_names: common_names
            .filter_map(|name| Some(name.as_str().ok()?.to_owned()))
            .collect(),
        escaped: escaped_pem(certificate),
    }
}

/// The attributes that have short names (RFC 4514 3), and those that OpenSSL names beside them.
const SHORT: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// A name as RFC 4514 writes it, the last part first, in nothing but graphic ASCII and spaces.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<_> = name.iter_rdn().collect();
    parts.reverse();
    let mut text = String::new();
    for part in parts {
        if !text.is_empty() {
            text.push(',');
        }
        for (at, attribute) in part.iter().enumerate() {
            if at > 0 {
                text.push('+');
            }
            let id = attribute.attr_type().to_id_string();
            let short = SHORT.iter().find(|(long, _)| *long == id);
            match (short, attribute.as_str()) {
                (Some((_, short)), Ok(value)) => {
                    text.push_str(short);
                    text.push('=');
                    escape(value, &mut text);
                }
                (Some(_), Err(_)) | (None, _) => {
                    text.push_str(&id);
                    text.push_str("=#");
                    for byte in attribute.attr_value().data {
                        // Writing to a string cannot fail.
                        let _ = write!(text, "{byte:02X}");
                    }
                }
            }
        }
    }
    text
}

/// RFC 4514 2.4; what is not ASCII or cannot be printed stands there in hexadecimal digits.
fn escape(value: &str, text: &mut String) {
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                text.push('\\');
                text.push(byte.into());
            }
            b'#' if at == 0 => text.push_str("\\#"),
            b' ' if at == 0 || at == last => text.push_str("\\ "),
            b' '..=b'~' => text.push(byte.into()),
            _ => {
                let _ = write!(text, "\\{byte:02X}");
            }
        }
    }
}

/// As nginx's `$ssl_client_escaped_cert`.
fn escaped_pem(certificate: &CertificateDer<'_>) -> String {
    let body = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in body.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    let mut escaped = String::with_capacity(pem.len() * 5 / 4);
    for byte in pem.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(byte.into());
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    #[test]
    fn names_are_written_so_that_nothing_can_be_mistaken() {
        let mut params = CertificateParams::new([]).unwrap();
        let mut name = DistinguishedName::new();
        name.push(DnType::CountryName, "DE");
        name.push(DnType::OrganizationName, "Tide, Gate + Söhne");
        name.push(DnType::OrganizationalUnitName, " #1\r\nX: y ");
        name.push(DnType::CommonName, "#anna\\<x>");
        params.distinguished_name = name;
        let key = KeyPair::generate().unwrap();
        let said = read(params.self_signed(&key).unwrap().der());
        assert_eq!(
            said.subject,
            r"CN=\#anna\\\<x\>,OU=\ #1\0D\0AX: y\ ,O=Tide\, Gate \+ S\C3\B6hne,C=DE"
        );
        assert_eq!(said.issuer, said.subject);
        assert_eq!(said.common_names, [r"#anna\<x>"]);
        let start = "-----BEGIN%20CERTIFICATE-----%0AMII";
        assert!(said.escaped.starts_with(start), "{}", said.escaped);
        assert!(said.escaped.bytes().all(|b| b.is_ascii_graphic()));
    }
}
