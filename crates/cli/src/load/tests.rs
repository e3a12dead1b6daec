use std::time::Duration;

use super::due_after;

#[test]
fn due_times_follow_the_rate_without_drift() {
    assert_eq!(due_after(0, 200), Duration::ZERO);
    assert_eq!(due_after(1, 200), Duration::from_millis(5));
    assert_eq!(due_after(3, 3), Duration::from_secs(1));
    assert_eq!(due_after(3_000_000, 3), Duration::from_secs(1_000_000));
}
