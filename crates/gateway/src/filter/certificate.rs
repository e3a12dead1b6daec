//! Certificates of clients: who may ask, and what backends are told of it.

use super::{Facts, Own};
use crate::conn::{CertificateProblem, OwnAnswer};
use crate::h1::append_line;
use crate::tls::{Presented, Trusted};
use tidegate_model::{CertificateNeed, ClientCertificate as Rule};

/// The compiled rule.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    rule: Rule,
}

/// What the connection of a request proves about its client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof<'a> {
    /// There is no TLS.
    Plain,
    /// It was not asked for a certificate.
    Unasked,
    /// It was, by a gateway that knows these authorities.
    Asked(&'a Presented, &'a Trusted),
}

impl ClientCertificate {
    pub(super) fn new(rule: &Rule) -> Self {
        Self { rule: rule.clone() }
    }

    /// The lines for the backend.
    ///
    /// # Errors
    /// The answer, when the client may not ask.
    pub(super) fn judge<H>(
        &self,
        facts: &Facts<'_, H>,
        own: &mut Own<'_>,
    ) -> Result<Vec<u8>, OwnAnswer> {
        let refuse = |problem| Err(OwnAnswer::Certificate(problem));
        let (presented, verdict) = match facts.proof {
            Proof::Plain if self.rule.need == CertificateNeed::Required => {
                return refuse(CertificateProblem::NoTls);
            }
            Proof::Plain => (None, Verified::None),
            Proof::Unasked => return refuse(CertificateProblem::Misdirected),
            Proof::Asked(presented, _) if presented.is_empty() => (None, Verified::None),
            Proof::Asked(presented, trusted) => {
                let anchors = trusted.get(&self.rule.authorities);
                let checked = anchors.and_then(|by| presented.check(by, self.rule.depth));
                (
                    Some(presented),
                    checked.map_or_else(Verified::Failed, |()| Verified::Success),
                )
            }
        };
        let problem = match (&verdict, self.rule.need) {
            (Verified::None, CertificateNeed::Required) => Some(CertificateProblem::Missing),
            (Verified::Failed(_), CertificateNeed::Required | CertificateNeed::Optional) => {
                Some(CertificateProblem::Bad)
            }
            (Verified::Success | Verified::None | Verified::Failed(_), _) => None,
        };
        if let Some(problem) = problem {
            return match &self.rule.error_page {
                Some(url) => {
                    append_line(own.lines, "Location", url.as_bytes());
                    Err(OwnAnswer::Bare(302))
                }
                None => refuse(problem),
            };
        }
        if let Some(pattern) = &self.rule.common_name {
            let mut names = presented.iter().flat_map(|p| &p.said().common_names);
            if !names.any(|name| pattern.is_found_in(name.as_bytes())) {
                return refuse(CertificateProblem::OtherName);
            }
        }
        Ok(self.lines(presented, &verdict))
    }

    fn lines(&self, presented: Option<&Presented>, verdict: &Verified) -> Vec<u8> {
        let mut lines = Vec::new();
        match verdict {
            Verified::Success => append_line(&mut lines, Rule::VERIFY, b"SUCCESS"),
            Verified::None => append_line(&mut lines, Rule::VERIFY, b"NONE"),
            Verified::Failed(why) => {
                let clean = |b: u8| if (b' '..=b'~').contains(&b) { b } else { b'?' };
                let why: Vec<u8> = b"FAILED:"
                    .iter()
                    .copied()
                    .chain(why.bytes().map(clean))
                    .collect();
                append_line(&mut lines, Rule::VERIFY, &why);
            }
        }
        let Some(said) = presented.map(Presented::said) else {
            return lines;
        };
        for (name, value) in [(Rule::SUBJECT, &said.subject), (Rule::ISSUER, &said.issuer)] {
            if !value.is_empty() {
                append_line(&mut lines, name, value.as_bytes());
            }
        }
        if self.rule.pass_on {
            append_line(&mut lines, Rule::CERTIFICATE, said.escaped.as_bytes());
        }
        lines
    }
}

/// What came of looking at a certificate.
enum Verified {
    Success,
    None,
    Failed(String),
}
