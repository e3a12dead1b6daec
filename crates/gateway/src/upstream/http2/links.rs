//! The connections of one worker, by peer.

use super::Stream;
use super::link::Link;
use crate::tls::BackendSecurity;
use crate::upstream::Peer;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidegate_runtime::{Clock, Tick};

/// How long a connection without requests is kept; as long as those of HTTP/1.1.
const IDLE_AGE: Duration = Duration::from_secs(30);

/// Connections to endpoints that speak HTTP/2.
#[derive(Debug)]
pub(crate) struct Links {
    clock: Clock,
    by_peer: RefCell<HashMap<Peer, Vec<Rc<Link>>>>,
}

impl Links {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            by_peer: RefCell::default(),
        }
    }

    /// A stream on a connection with room for it, which is opened if there is none, within `connect`.
    ///
    /// # Errors
    /// What the kernel refuses at once.
    pub(crate) fn begin(
        &self,
        peer: Peer,
        security: Option<Arc<BackendSecurity>>,
        connect: Duration,
    ) -> io::Result<Stream> {
        let mut all = self.by_peer.borrow_mut();
        let links = all.entry(peer).or_default();
        links.retain(|link| link.is_usable());
        if let Some(link) = links.iter().find(|link| link.has_room()) {
            return Ok(Stream::new(Rc::clone(link)));
        }
        let link = Link::open(peer.address, security, connect, self.clock)?;
        links.push(Rc::clone(&link));
        Ok(Stream::new(link))
    }

    /// Lets go of those that are idle for long, or of no use any more.
    pub(crate) fn sweep(&self, now: Tick) {
        self.by_peer.borrow_mut().retain(|_, links| {
            links.retain(|link| {
                if link
                    .idle_since()
                    .is_some_and(|since| now >= since + IDLE_AGE)
                {
                    link.retire();
                }
                link.is_usable()
            });
            !links.is_empty()
        });
    }
}
