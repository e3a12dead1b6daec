//! Which container images run in a pocket cluster, and as what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Images that an operator mapped to local programs. The built-in ones need no entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageTable {
    mapped: BTreeMap<String, PathBuf>,
}

/// A mapping that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMapping {
    /// Not of the form `IMAGE=PROGRAM`.
    #[error("--image {text:?} is not of the form IMAGE=PROGRAM")]
    Form {
        /// What was given.
        text: String,
    },
    /// The program is not an absolute path.
    #[error("--image {image}: the program {program:?} must be an absolute path")]
    Relative {
        /// The image.
        image: String,
        /// The path given.
        program: PathBuf,
    },
    /// A built-in image cannot be replaced: what `tidegate.io/echo` means must not depend on the machine.
    #[error("--image {image}: this image is built in and cannot be mapped")]
    BuiltIn {
        /// The image.
        image: String,
    },
    /// One image was mapped twice.
    #[error("--image {image}: mapped twice")]
    Twice {
        /// The image.
        image: String,
    },
}

/// What an image is started as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// The built-in echo server, with the port it uses when nothing else says one.
    Echo { default_port: u16 },
    /// A program on this machine.
    Local(PathBuf),
}

/// An image that does not run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "image {image:?} is not known to this pocket cluster: map it to a local program with --image {name}=/path/to/program, or use tidegate.io/echo"
)]
pub(crate) struct UnknownImage {
    image: String,
    name: String,
}

const BUILT_IN: [(&str, u16); 4] = [
    ("tidegate.io/echo", 8080),
    ("docker.io/library/nginx", 80),
    ("registry.k8s.io/e2e-test-images/agnhost", 8080),
    ("registry.k8s.io/gateway-api/echo-basic", 3000),
];

impl ImageTable {
    /// Adds a mapping written `IMAGE=PROGRAM`. An image without a tag stands for all its tags.
    ///
    /// # Errors
    /// When the text is malformed, the path is relative, or the image is built in or mapped already.
    pub fn add(&mut self, text: &str) -> Result<(), InvalidMapping> {
        match text.split_once('=') {
            Some((image, program)) if !image.is_empty() && !program.is_empty() => {
                self.insert(image, Path::new(program))
            }
            _ => Err(InvalidMapping::Form {
                text: text.to_owned(),
            }),
        }
    }

    /// Maps `image` to `program`.
    ///
    /// # Errors
    /// As [`ImageTable::add`].
    pub fn insert(&mut self, image: &str, program: &Path) -> Result<(), InvalidMapping> {
        let name = normalize(image);
        if builtin(&without_tag(&name)).is_some() {
            return Err(InvalidMapping::BuiltIn {
                image: image.to_owned(),
            });
        }
        if !program.is_absolute() {
            return Err(InvalidMapping::Relative {
                image: image.to_owned(),
                program: program.to_owned(),
            });
        }
        if self.mapped.insert(name, program.to_owned()).is_some() {
            return Err(InvalidMapping::Twice {
                image: image.to_owned(),
            });
        }
        Ok(())
    }

    /// What `image` runs as; the exact tag wins over an entry without one.
    pub(crate) fn resolve(&self, image: &str) -> Result<Program, UnknownImage> {
        let full = normalize(image);
        let bare = without_tag(&full);
        if let Some(default_port) = builtin(&bare) {
            return Ok(Program::Echo { default_port });
        }
        match self.mapped.get(&full).or_else(|| self.mapped.get(&bare)) {
            Some(program) => Ok(Program::Local(program.clone())),
            None => Err(UnknownImage {
                image: image.to_owned(),
                name: without_tag(image),
            }),
        }
    }
}

fn builtin(bare: &str) -> Option<u16> {
    BUILT_IN
        .iter()
        .find(|(name, _)| *name == bare)
        .map(|(_, port)| *port)
}

/// The full form of a reference: `nginx` is `docker.io/library/nginx`, as container runtimes read it.
fn normalize(image: &str) -> String {
    let (host, rest) = match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => ("docker.io", image),
    };
    if host == "docker.io" && !rest.contains('/') {
        format!("docker.io/library/{rest}")
    } else {
        format!("{host}/{rest}")
    }
}

/// The reference without `:tag` and `@digest`. A colon before the last slash is a registry port.
fn without_tag(image: &str) -> String {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name.to_owned(),
        _ => image.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn built_in_images_run_with_any_tag() {
        let table = ImageTable::default();
        for (image, port) in [
            ("tidegate.io/echo", 8080),
            ("tidegate.io/echo:v9", 8080),
            ("nginx", 80),
            ("nginx:1.29-alpine", 80),
            ("library/nginx", 80),
            ("docker.io/library/nginx:x", 80),
            ("docker.io/nginx@sha256:00", 80),
            ("registry.k8s.io/e2e-test-images/agnhost:2.53", 8080),
            ("registry.k8s.io/gateway-api/echo-basic:v1", 3000),
        ] {
            assert_eq!(
                table.resolve(image),
                Ok(Program::Echo { default_port: port }),
                "{image}"
            );
        }
    }

    #[test]
    fn an_unknown_image_says_how_to_map_it() {
        let error = ImageTable::default()
            .resolve("example.com:5000/a/b:v1")
            .expect_err("unknown");
        let text = error.to_string();
        assert!(
            text.contains("--image example.com:5000/a/b=/path/to/program"),
            "{text}"
        );
    }

    #[test]
    fn the_exact_tag_wins() {
        let mut table = ImageTable::default();
        table.add("web=/bin/any").expect("add");
        table.add("web:v2=/bin/two").expect("add");
        assert_eq!(
            table.resolve("web:v1"),
            Ok(Program::Local("/bin/any".into()))
        );
        assert_eq!(
            table.resolve("docker.io/library/web:v2"),
            Ok(Program::Local("/bin/two".into()))
        );
    }

    #[test]
    fn bad_mappings_name_the_flag() {
        let mut table = ImageTable::default();
        table.add("web=/bin/any").expect("add");
        for bad in [
            "",
            "web",
            "=x",
            "web=",
            "b=bin/x",
            "nginx=/bin/x",
            "web=/bin/other",
        ] {
            let error = table.add(bad).expect_err(bad);
            assert!(error.to_string().starts_with("--image "), "{error}");
        }
    }

    proptest! {
        #[test]
        fn resolving_never_panics_and_tags_never_change_built_ins(image in "\\PC{0,40}", tag in "[a-z0-9.]{1,8}") {
            let table = ImageTable::default();
            let _ = table.resolve(&image);
            let tagged = format!("tidegate.io/echo:{tag}");
            prop_assert!(table.resolve(&tagged).is_ok());
        }
    }
}
