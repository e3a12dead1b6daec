//! Annotations that name ConfigMaps with headers.

use super::{Feature, Reader};

/// Names of ConfigMaps of the Ingress's namespace, each with the annotation's key.
#[derive(Default)]
pub(crate) struct HeaderMaps {
    /// Headers of answers.
    pub(crate) answer: Option<(String, String)>,
    /// Headers of the question whether a request may go on.
    pub(crate) question: Option<(String, String)>,
}

impl Reader<'_> {
    pub(super) fn header_maps(&mut self) -> HeaderMaps {
        HeaderMaps {
            answer: self.config_map(Feature::CustomHeaders),
            question: self.config_map(Feature::AuthProxySetHeaders),
        }
    }

    fn config_map(&mut self, feature: Feature) -> Option<(String, String)> {
        let (key, value) = self.text(feature)?;
        match self.own("ConfigMap", value) {
            Ok(name) => Some((name, key.to_owned())),
            Err(why) => {
                self.refuse(key, value, &why);
                None
            }
        }
    }
}
