//! Cookies: what they say, whom they lead to, and when they are replaced.

use super::super::claim::tests::{Lines, facts};
use super::super::tests::Rig;
use super::*;
use crate::choose::choose;
use std::time::Duration;
use tidegate_model::{Affinity, AffinityMode, OnFailure};

fn rig(endpoints: &[usize], mode: AffinityMode, on_failure: OnFailure) -> Rig {
    Rig::with(endpoints, |backend| {
        backend.balance.affinity = Some(Affinity {
            mode,
            on_failure,
            ..Affinity::default()
        });
    })
}

/// What becomes of a request with this cookie: who serves it, and the cookie it is given.
fn ask(rig: &Rig, cookie: Option<&str>, random: u64) -> (std::net::SocketAddr, Option<String>) {
    let cookie = cookie.map(|value| format!("a=1; INGRESSCOOKIE={value}"));
    let lines: Vec<(&str, &str)> = cookie.iter().map(|value| ("cookie", &**value)).collect();
    let rules = SessionCookie::default();
    let session = Session::read(&rules, &facts("/", &Lines(&lines)), random);
    let forward = rig.policy();
    let pick = choose(&forward, &Claim::Session(session), &[], rig.now, random).unwrap();
    let mut set = Vec::new();
    session.write_cookie(&forward, pick.endpoint(), rig.now, &mut set);
    let set = String::from_utf8(set).unwrap();
    let value = set
        .strip_prefix("Set-Cookie: INGRESSCOOKIE=")
        .map(|rest| rest.split(';').next().unwrap().to_owned());
    (pick.address(), value)
}

#[test]
fn a_client_stays_also_with_another_gateway_and_after_a_restart() {
    for mode in [AffinityMode::Balanced, AffinityMode::Persistent] {
        let one = rig(&[3, 3], mode, OnFailure::Stay);
        let mut served = std::collections::BTreeSet::new();
        for client in 0..40 {
            let (first, cookie) = ask(&one, None, mix(client));
            let cookie = cookie.expect("a new client gets a cookie");
            served.insert(first);
            let other = rig(&[3, 3], mode, OnFailure::Stay);
            for gateway in [&one, &other] {
                for request in 0..5 {
                    let again = ask(gateway, Some(&cookie), request);
                    assert_eq!(again, (first, None), "{mode:?}");
                }
            }
        }
        assert!(served.len() > 4, "{served:?}");
    }
}

#[test]
fn a_client_of_a_lost_cluster_is_moved_in_any_case() {
    for mode in [AffinityMode::Balanced, AffinityMode::Persistent] {
        for on_failure in [OnFailure::Stay, OnFailure::Move] {
            let rig = rig(&[3, 3], mode, on_failure);
            let lost: Vec<_> = rig.of(1).iter().map(|e| e.address()).collect();
            let clients = (0..200).map(|client| ask(&rig, None, mix(client)));
            let of_lost = clients.filter(|(at, _)| lost.contains(at));
            let cookies: Vec<String> = of_lost.filter_map(|(_, cookie)| cookie).collect();
            assert!(!cookies.is_empty());
            rig.fail(1);
            for cookie in cookies {
                let (now, new) = ask(&rig, Some(&cookie), 1);
                assert!(!lost.contains(&now), "{mode:?}");
                // And stays there.
                let cookie = new.unwrap_or(cookie);
                assert_eq!(ask(&rig, Some(&cookie), 2), (now, None));
            }
        }
    }
}

#[test]
fn new_endpoints_take_over_sessions_only_in_balanced_mode() {
    for (mode, moves) in [
        (AffinityMode::Balanced, true),
        (AffinityMode::Persistent, false),
    ] {
        let mut rig = rig(&[2], mode, OnFailure::Stay);
        let clients: Vec<_> = (0..100)
            .map(|client| ask(&rig, None, mix(client)))
            .collect();
        rig.rescale(&[4]);
        let moved = clients
            .iter()
            .filter(|(at, cookie)| ask(&rig, cookie.as_deref(), 0).0 != *at)
            .count();
        assert_eq!(moved > 20, moves, "{moved} of 100 in {mode:?}");
        assert!(moved < 80);
    }
}

#[test]
fn what_the_gateway_did_not_make_is_a_key_as_any_other() {
    let rig = rig(&[3], AffinityMode::Balanced, OnFailure::Stay);
    for value in ["abc", "zzzzzzzzzzzzzzzz.00000000", "0.0", &"x".repeat(4000)] {
        let (at, set) = ask(&rig, Some(value), 1);
        assert_eq!((at, set), ask(&rig, Some(value), 2));
    }
}

#[test]
fn the_cookie_says_what_the_rules_say() {
    let line = |change: &dyn Fn(&mut SessionCookie), lines: &[(&str, &str)]| {
        let mut rules = SessionCookie::default();
        change(&mut rules);
        let session = Session::read(&rules, &facts("/", &Lines(lines)), 1);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        String::from_utf8(session.line(&rules, (0xab, 0xcd), "/a", wall)).unwrap()
    };
    assert_eq!(
        line(&|_| {}, &[]),
        "INGRESSCOOKIE=00000000000000ab.000000cd; Path=/a; HttpOnly; Secure"
    );
    assert_eq!(
        line(
            &|rules| {
                rules.path = Some("/".to_owned());
                rules.domain = Some("example.com".to_owned());
                rules.expires = Some(Duration::from_secs(60));
                rules.same_site = Some(SameSite::Strict);
                rules.secure = Secure::Never;
                rules.partitioned = true;
            },
            &[]
        ),
        "INGRESSCOOKIE=00000000000000ab.000000cd; Path=/; Domain=example.com; Expires=Sun, 06 Nov 1994 08:50:37 GMT; \
         SameSite=Strict; HttpOnly; Partitioned"
    );
    let both = |rules: &mut SessionCookie| {
        rules.max_age = Some(Duration::from_secs(3600));
        rules.expires = Some(Duration::from_secs(60));
    };
    let line_of_both = line(&both, &[]);
    assert!(line_of_both.contains("; Max-Age=3600;") && line_of_both.contains("; Expires="));
    let none = |rules: &mut SessionCookie| rules.same_site = Some(SameSite::NoneIfUnderstood);
    let ios_12 = "Mozilla/5.0 (iPhone; CPU iPhone OS 12_4 like Mac OS X) AppleWebKit/605.1.15";
    let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36";
    let chrome_60 = chrome.replace("131", "60");
    for (agent, understood) in [
        (ios_12, false),
        (chrome, true),
        (&chrome_60, false),
        ("", true),
    ] {
        let found = line(&none, &[("user-agent", agent)]);
        assert_eq!(found.contains("SameSite=None"), understood, "{agent}");
    }
}
