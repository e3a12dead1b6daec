use std::time::Duration;

use http::{HeaderValue, Method};

use super::exchange::request;
use super::{Target, due_after};

#[test]
fn due_times_follow_the_rate_without_drift() {
    assert_eq!(due_after(0, 200), Duration::ZERO);
    assert_eq!(due_after(1, 200), Duration::from_millis(5));
    assert_eq!(due_after(3, 3), Duration::from_secs(1));
    assert_eq!(due_after(3_000_000, 3), Duration::from_secs(1_000_000));
}

#[test]
fn a_request_carries_its_number_where_the_path_asks_for_it() {
    let mut target = Target {
        address: ([127, 0, 0, 1], 80).into(),
        host: HeaderValue::from_static("shop"),
        path: "/order/{n}?again={n}".parse().expect("a path"),
        method: Method::POST,
        headers: Vec::new(),
    };
    let path = |target: &Target, number| {
        let request = request(target, number).expect("a request");
        request.uri().to_string()
    };
    assert_eq!(path(&target, 7), "/order/7?again=7");
    target.path = "/n".parse().expect("a path");
    assert_eq!(path(&target, 7), "/n");
}
