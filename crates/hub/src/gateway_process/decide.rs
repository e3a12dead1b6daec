//! What to do about the process that an earlier hub left a note of.

use super::process::Identity;
use super::record::Record;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is the one that is wanted.
    Adopt,
    /// It is a gateway of ours that does something else.
    Replace,
    /// There is none.
    Start,
}

/// `observed` is the process that has the recorded number now, if any runs.
pub(super) fn decide(
    recorded: Option<&Record>,
    observed: Option<&Identity>,
    wanted: &[String],
) -> Decision {
    let (Some(recorded), Some(observed)) = (recorded, observed) else {
        return Decision::Start;
    };
    // Numbers are used again, within one boot and after the next; start times are not.
    if recorded.identity != *observed {
        return Decision::Start;
    }
    if recorded.command == wanted {
        Decision::Adopt
    } else {
        Decision::Replace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(start: u64, boot: &str) -> Identity {
        Identity {
            start_ticks: start,
            boot_id: boot.to_owned(),
        }
    }

    #[test]
    fn only_the_very_same_process_is_adopted_or_replaced() {
        let command = |argument: &str| vec!["/gateway".to_owned(), argument.to_owned()];
        let recorded = Record {
            pid: 7,
            identity: identity(100, "a"),
            command: command("--one"),
        };
        let cases = [
            (None, None, "--one", Decision::Start),
            (None, Some(identity(100, "a")), "--one", Decision::Start),
            (Some(&recorded), None, "--one", Decision::Start),
            (
                Some(&recorded),
                Some(identity(100, "a")),
                "--one",
                Decision::Adopt,
            ),
            (
                Some(&recorded),
                Some(identity(100, "a")),
                "--two",
                Decision::Replace,
            ),
            (
                Some(&recorded),
                Some(identity(101, "a")),
                "--one",
                Decision::Start,
            ),
            (
                Some(&recorded),
                Some(identity(101, "a")),
                "--two",
                Decision::Start,
            ),
            (
                Some(&recorded),
                Some(identity(100, "b")),
                "--one",
                Decision::Start,
            ),
        ];
        for (recorded, observed, argument, expected) in cases {
            let decision = decide(recorded, observed.as_ref(), &command(argument));
            assert_eq!(decision, expected, "{recorded:?} {observed:?} {argument}");
        }
    }
}
