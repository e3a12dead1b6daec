use serde_json::json;

use super::*;

fn slot(policy: RestartPolicy, before: Option<serde_json::Value>) -> Slot {
    let spec = serde_json::from_value(json!({"name": "c", "image": "x"})).expect("container");
    let before = before.map(|before| serde_json::from_value(before).expect("status"));
    Slot::new(spec, policy, before.as_ref(), Instant::now())
}

fn end(exit_code: i32) -> Ended {
    Ended {
        exit_code,
        signal: None,
        reason: "Error".to_owned(),
        message: None,
        started: None,
        finished: None,
    }
}

#[test]
fn ends_are_answered_at_once_then_later_each_time() {
    let mut slot = slot(RestartPolicy::Always, None);
    let now = Instant::now();
    let delays: Vec<u64> = (0..9)
        .filter_map(|_| slot.ended(end(1), "p", false, now))
        .map(|delay| delay.as_secs())
        .collect();
    assert_eq!(delays, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
    assert!(
        slot.is_due(now + Duration::from_secs(60)) && !slot.is_due(now + Duration::from_secs(59))
    );
}

#[test]
fn the_policy_decides_whether_there_is_another_run() {
    for (policy, code, again) in [
        (RestartPolicy::Always, 0, true),
        (RestartPolicy::OnFailure, 1, true),
        (RestartPolicy::OnFailure, 0, false),
        (RestartPolicy::Never, 1, false),
    ] {
        let next = slot(policy, None).ended(end(code), "p", false, Instant::now());
        assert_eq!(next.is_some(), again, "{policy:?} {code}");
    }
    assert_eq!(
        slot(RestartPolicy::Always, None).ended(end(1), "p", true, Instant::now()),
        None,
        "a leaving pod"
    );
}

#[test]
fn what_ran_before_counts() {
    let before = |state| {
        json!({"name": "c", "image": "x", "imageID": "x", "ready": true, "restartCount": 2,
        "containerID": "process://1", "state": state})
    };
    let ran = slot(RestartPolicy::Always, Some(before(json!({"running": {}}))));
    assert_eq!(ran.runs, 3);
    assert_eq!(
        ran.last.map(|ended| ended.reason).as_deref(),
        Some("ContainerStatusUnknown")
    );
    let done = slot(
        RestartPolicy::Never,
        Some(before(json!({"terminated": {"exitCode": 0}}))),
    );
    assert!(matches!(done.state, State::Ended(_)));
    let fresh = slot(
        RestartPolicy::Always,
        Some(json!({"name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0})),
    );
    assert_eq!(fresh.runs, 0);
}
