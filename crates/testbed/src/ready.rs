//! The line on stderr by which a process says that it serves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;

use crate::Result;

/// `ready: WHAT key=value … kubeconfig=PATH`, taken apart.
#[derive(Clone, Debug)]
pub struct Ready {
    /// `server`, `pocket` or `gateway`.
    pub what: String,
    /// The admin kubeconfig, when the process has an API.
    pub kubeconfig: Option<PathBuf>,
    values: BTreeMap<String, String>,
}

impl Ready {
    /// The first such line of `log` that is complete.
    pub(crate) fn find(log: &str) -> Option<Self> {
        log.split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
            .find_map(|line| Self::parse(line.strip_prefix("ready: ")?))
    }

    fn parse(line: &str) -> Option<Self> {
        // Comes last, because a path may hold spaces.
        let (line, kubeconfig) = match line.split_once(" kubeconfig=") {
            Some((line, path)) => (line, Some(PathBuf::from(path))),
            None => (line, None),
        };
        let mut words = line.split(' ');
        let what = words.next()?.to_owned();
        let values = words.filter_map(|word| word.split_once('='));
        let values = values
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Some(Self {
            what,
            kubeconfig,
            values,
        })
    }

    /// The address behind `key`, without its scheme.
    ///
    /// # Errors
    /// When the line has no such key, or no address there.
    pub fn address(&self, key: &str) -> Result<SocketAddr> {
        let value = self.values.get(key);
        let value =
            value.with_context(|| format!("the ready line of {} has no {key}=", self.what))?;
        let address = value
            .split_once("://")
            .map_or(value.as_str(), |(_, address)| address);
        address
            .parse()
            .with_context(|| format!("{key}={value} of {} is no address", self.what))
    }
}

#[cfg(test)]
mod tests {
    use super::Ready;

    #[test]
    fn a_line_is_taken_apart_once_it_is_complete() {
        let line = "ready: server api=https://127.0.0.1:6443 http=http://127.0.0.1:80 kubeconfig=/a b/admin.kubeconfig";
        let log = format!("INFO starting\n{line}\nready: other\n");
        let ready = Ready::find(&log).expect("it is there");
        assert_eq!(ready.what, "server");
        assert_eq!(ready.address("api").expect("an address").port(), 6443);
        assert_eq!(ready.address("http").expect("an address").port(), 80);
        assert!(ready.address("admin").is_err());
        assert_eq!(
            ready.kubeconfig.expect("named").to_str(),
            Some("/a b/admin.kubeconfig")
        );
        assert!(Ready::find(line).is_none(), "it may still be growing");
    }
}
