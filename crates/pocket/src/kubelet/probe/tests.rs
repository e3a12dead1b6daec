use proptest::prelude::*;
use serde_json::json;

use super::*;

fn spec(success: u32, failure: u32) -> ProbeSpec {
    ProbeSpec {
        question: Question::Tcp {
            host: "127.9.0.2".to_owned(),
            port: 1,
        },
        initial_delay: Duration::from_secs(5),
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        success_threshold: success,
        failure_threshold: failure,
    }
}

fn read(probe: serde_json::Value) -> Result<ProbeSpec, String> {
    let container = json!({"name": "c", "ports": [{"name": "web", "containerPort": 8080}]});
    ProbeSpec::of(
        &serde_json::from_value(probe).expect("probe"),
        &serde_json::from_value(container).expect("container"),
        Ipv4Addr::new(127, 9, 0, 2),
    )
}

#[test]
fn reads_probes_with_their_defaults() {
    let got = read(json!({"httpGet": {"port": "web"}})).expect("supported");
    assert_eq!(
        got.question,
        Question::Http {
            host: "127.9.0.2".into(),
            port: 8080,
            path: "/".into(),
            headers: vec![]
        }
    );
    assert_eq!(
        (
            got.period.as_secs(),
            got.timeout.as_secs(),
            got.success_threshold,
            got.failure_threshold
        ),
        (10, 1, 1, 3)
    );
    assert!(
        read(json!({"httpGet": {"port": "nope"}}))
            .expect_err("no port")
            .contains("nope")
    );
    assert!(
        read(json!({"exec": {"command": ["x"]}}))
            .expect_err("exec")
            .contains("only httpGet and tcpSocket")
    );
}

#[test]
fn asks_once_at_a_time_and_in_its_rhythm() {
    let start = Instant::now();
    let mut probe = ProbeState::new(spec(1, 1), start);
    let at = |s| start + Duration::from_secs(s);
    assert!(
        !probe.ask(at(4)) && probe.ask(at(5)) && !probe.ask(at(30)),
        "an open question blocks the next"
    );
    assert_eq!(probe.due(), None);
    probe.answered(true);
    assert_eq!(probe.due(), Some(at(15)));
}

proptest! {
    /// The verdict is what the last sufficiently long row of equal answers says.
    #[test]
    fn thresholds_count_rows(success in 1u32..4, failure in 1u32..4, answers in proptest::collection::vec(any::<bool>(), 0..60)) {
        let mut probe = ProbeState::new(spec(success, failure), Instant::now());
        let mut expect = Verdict::Unknown;
        for end in 1..=answers.len() {
            let last = answers[end - 1];
            let row = answers[..end].iter().rev().take_while(|a| **a == last).count();
            let needed = if last { success } else { failure };
            let before = expect;
            if row >= needed as usize {
                expect = if last { Verdict::Passing } else { Verdict::Failing };
            }
            let changed = probe.answered(last);
            prop_assert_eq!(probe.verdict, expect);
            prop_assert_eq!(changed, expect != before);
        }
    }
}
