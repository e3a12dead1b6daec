use std::time::Instant;

use serde_json::json;

use super::super::container::RestartPolicy;
use super::*;

fn slot() -> Slot {
    let spec = serde_json::from_value(json!({"name": "c", "image": "tidegate.io/echo"}))
        .expect("container");
    Slot::new(spec, RestartPolicy::Never, None, Instant::now())
}

fn ended(exit_code: i32) -> Slot {
    let mut slot = slot();
    slot.runs = 1;
    let ended = Ended {
        exit_code,
        signal: None,
        reason: "x".to_owned(),
        message: None,
        started: None,
        finished: None,
    };
    slot.state = State::Ended(ended);
    slot
}

fn status(slots: &[Slot], before: &PodStatus, second: i64) -> PodStatus {
    let place = Place {
        ip: "127.9.0.2".to_owned(),
        host_ip: "127.9.0.1".to_owned(),
    };
    pod_status(
        &Pod::default(),
        before,
        slots,
        &place,
        Timestamp::from_second(second).expect("time"),
    )
}

#[test]
fn phases() {
    for (slots, expect) in [
        (vec![slot()], "Pending"),
        (vec![ended(0), ended(0)], "Succeeded"),
        (vec![ended(0), ended(1)], "Failed"),
        (vec![ended(0), slot()], "Pending"),
    ] {
        assert_eq!(
            status(&slots, &PodStatus::default(), 0).phase.as_deref(),
            Some(expect)
        );
    }
}

#[test]
fn nothing_new_gives_an_equal_status() {
    let first = status(&[slot()], &PodStatus::default(), 1);
    assert_eq!(status(&[slot()], &first, 2), first);
    let ready = first
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "Ready")
        .expect("condition");
    assert_eq!(
        (ready.status.as_str(), ready.message.as_deref()),
        ("False", Some("containers with unready status: [c]"))
    );
}
