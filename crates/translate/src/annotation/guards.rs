//! Annotations about who may ask.

use super::value::Closed;
use super::{Annotations, Feature, Reader};
use crate::Reason;
use crate::diagnostic::quote;
use tidegate_model::{Access, BasicAuth, Satisfy};

/// What is said about name and password.
pub(crate) struct PasswordSpec {
    /// Name of a Secret of the same namespace, with the annotation's key.
    pub(crate) secret: (String, String),
    pub(crate) form: UsersForm,
    pub(crate) realm: String,
}

/// How a Secret holds users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsersForm {
    /// Lines of htpasswd in the key `auth`.
    File,
    /// A user for each key.
    Map,
}

/// What is said about the addresses that may use the hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostAccess {
    Lists(Access),
    /// A list cannot be read: nobody may.
    Closed,
}

impl Reader<'_> {
    /// Reads all that guards the routes into `annotations`.
    pub(super) fn guards(&mut self, annotations: &mut Annotations) {
        let filters = &mut annotations.filters;
        filters.satisfy = self.satisfy();
        let own = self.lists(
            [Feature::Allowlist, Feature::Whitelist],
            [Feature::Denylist, Feature::Blacklist],
        );
        let hosts = self.lists([Feature::DomainWhitelist; 2], [Feature::DomainBlacklist; 2]);
        annotations.host_access = match hosts {
            Ok(lists) if lists == Access::default() => None,
            Ok(lists) => Some(HostAccess::Lists(lists)),
            Err(Closed) => Some(HostAccess::Closed),
        };
        match (own, &annotations.host_access) {
            (Err(Closed), _) | (_, Some(HostAccess::Closed)) => annotations.closed = true,
            (Ok(own), Some(HostAccess::Lists(hosts))) if own == Access::default() => {
                filters.access = hosts.clone();
            }
            (Ok(own), _) => filters.access = own,
        }
        match self.password() {
            Ok(password) => annotations.password = password,
            Err(Closed) => annotations.closed = true,
        }
        match self.external() {
            Ok(external) => annotations.external = external,
            Err(Closed) => annotations.closed = true,
        }
    }

    /// Lists of addresses, the first spelling before the second. One that cannot be read closes the routes: who was
    /// to be kept out is not known.
    fn lists(&mut self, allow: [Feature; 2], deny: [Feature; 2]) -> Result<Access, Closed> {
        let mut list = |[first, second]: [Feature; 2]| match self.guard(first)? {
            Some(ranges) => Ok(Some(ranges)),
            None => self.guard(second),
        };
        let allow = list(allow)?;
        let deny = list(deny)?.unwrap_or_default();
        Ok(Access { allow, deny })
    }

    fn satisfy(&mut self) -> Satisfy {
        let read = self.value(Feature::Satisfy, |text| match text {
            "all" => Ok(Satisfy::All),
            "any" => Ok(Satisfy::Any),
            _ => Err("it must be \"all\" or \"any\"; until then all rules must pass".to_owned()),
        });
        read.unwrap_or_default()
    }

    fn password(&mut self) -> Result<Option<PasswordSpec>, Closed> {
        let secret = self.text(Feature::AuthSecret);
        let Some((type_key, kind)) = self.text(Feature::AuthType) else {
            if let Some((key, value)) = secret {
                let text = format!("{} has no effect without auth-type: basic", quote(value));
                let field = format!("metadata.annotations[{key}]");
                self.diagnostics
                    .warning(self.object, field, Reason::NoEffect, text);
            }
            return Ok(None);
        };
        if kind != "basic" {
            return Err(self.close(type_key, kind, "only \"basic\" is supported"));
        }
        let Some((key, name)) = secret else {
            let why = "auth-secret, which names the Secret with the users, is missing";
            return Err(self.close(type_key, kind, why));
        };
        let name = self.own_secret(key, name)?;
        let form = match self.text(Feature::AuthSecretType) {
            None | Some((_, "auth-file")) => UsersForm::File,
            Some((_, "auth-map")) => UsersForm::Map,
            Some((key, other)) => {
                let why = "it must be \"auth-file\" or \"auth-map\"";
                return Err(self.close(key, other, why));
            }
        };
        Ok(Some(PasswordSpec {
            secret: (name, key.to_owned()),
            form,
            realm: self.realm().unwrap_or_else(|| BasicAuth::REALM.to_owned()),
        }))
    }

    fn realm(&mut self) -> Option<String> {
        self.value(Feature::AuthRealm, |text| {
            let visible = |b: u8| (b' '..=b'~').contains(&b);
            match text.len() <= 256 && text.bytes().all(visible) {
                true => Ok(text.to_owned()),
                false => Err("it must be visible ASCII and at most 256 characters".to_owned()),
            }
        })
    }
}
