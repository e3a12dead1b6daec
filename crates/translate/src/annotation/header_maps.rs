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
        let (key, _) = self.text(feature)?;
        let namespace = self.object.namespace.clone();
        let name = self.value(feature, |text| match text.split_once('/') {
            Some((other, name)) if other == namespace => Ok(name.to_owned()),
            Some(_) => Err(
                "a ConfigMap of another namespace needs that namespace's grant, which is not supported yet; copy it \
                 into the Ingress's namespace"
                    .to_owned(),
            ),
            None => Ok(text.to_owned()),
        })?;
        Some((name, key.to_owned()))
    }
}
