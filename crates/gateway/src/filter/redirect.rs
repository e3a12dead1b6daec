//! Where redirects lead.

use super::Facts;
use crate::h1::append_line;
use tidegate_model::Target;

/// The same URL over HTTPS. The port is left out: clients reach HTTPS at its own.
pub(super) fn to_https<H>(facts: &Facts<'_, H>, lines: &mut Vec<u8>) {
    let url = [
        b"https://",
        facts.host_name,
        facts.path.as_bytes(),
        facts.query,
    ]
    .concat();
    append_line(lines, "Location", &url);
}

/// The `Location` of a redirect; `relative` leaves scheme and host out of one that stays on the same.
pub(crate) fn write_location<H>(
    to: &Target,
    relative: bool,
    facts: &Facts<'_, H>,
    lines: &mut Vec<u8>,
) {
    let scheme = facts.scheme.as_bytes();
    let url = match to {
        Target::Url(url) => url.as_bytes().to_vec(),
        Target::Host(host) => {
            let path = facts.path.as_bytes();
            [scheme, b"://", host.as_bytes(), path, facts.query].concat()
        }
        Target::Path(path) if relative => path.as_bytes().to_vec(),
        Target::Path(path) => [scheme, b"://", facts.host, path.as_bytes()].concat(),
    };
    append_line(lines, "Location", &url);
}
