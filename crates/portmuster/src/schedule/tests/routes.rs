//! Runs through a proxy.

use super::*;

fn proxied(route: Route) -> Schedule {
    schedule(Policy { route, retries: 1, per_host: NonZeroU32::new(1), ..unlimited() })
}

fn conclusion(state: PortState, reason: Reason) -> Conclusion {
    Conclusion::Verdict(Verdict::unconnected(state, reason, Duration::from_millis(20)))
}

#[test]
fn proxy_that_looks_names_up_gets_the_name() {
    let mut schedule = proxied(Route::ProxyWithNames);
    for port in [22, 23] {
        schedule.add(Target::new("db.example", port), at(0));
    }
    schedule.add(target(1, 22), at(0));
    schedule.input_ended();
    assert_eq!(schedule.wanted_lookup(at(0)), None);
    let begun = starts(&mut schedule, at(0));
    let names: Vec<_> = begun.iter().map(|start| start.name.as_deref()).collect();
    assert_eq!(names, [Some("db.example"), None], "the limit of a host holds for a name");
    assert_eq!(begun[0].endpoint.port(), 22);
    let refused = || conclusion(PortState::Closed, Reason::RefusedToProxy);
    settle(&mut schedule, &begun[0], refused(), at(1));
    settle(&mut schedule, &begun[1], refused(), at(1));
    // Silence is packed and tried again.
    let [ref start] = starts(&mut schedule, at(1))[..] else { panic!("the other port starts") };
    settle(&mut schedule, start, silence(10_000), at(10_001));
    let [ref start] = starts(&mut schedule, at(10_001))[..] else { panic!("it is retried") };
    assert_eq!(start.name.as_deref(), Some("db.example"));
    settle(&mut schedule, start, refused(), at(10_002));
    let outcomes = schedule.take_outcomes();
    let reason = |outcome: &Outcome| (outcome.target.to_string(), outcome.verdict.reason);
    let expected = [
        ("db.example:22", Reason::RefusedInPart),
        ("192.0.2.1:22", Reason::RefusedToProxy),
        ("db.example:23", Reason::RefusedInPart),
    ];
    let expected = expected.map(|(target, reason)| (target.to_owned(), reason));
    assert_eq!(outcomes.iter().map(reason).collect::<Vec<_>>(), expected);
    let endpoints: Vec<_> = outcomes.iter().map(|outcome| outcome.endpoint.is_some()).collect();
    assert_eq!(endpoints, [false, true, false], "a stand-in is never told");
    assert!(schedule.is_finished());
}

#[test]
fn names_are_looked_up_here_before_other_proxies_get_their_addresses() {
    let mut schedule = proxied(Route::Proxy);
    schedule.add(Target::new("db.example", 22), at(0));
    assert!(schedule.wanted_lookup(at(0)).is_some());
    assert!(starts(&mut schedule, at(0)).is_empty());
}

#[test]
fn loss_on_the_way_to_a_proxy_is_not_loss_on_the_way_to_targets() {
    for (route, syns) in [(Route::Direct, 3), (Route::Proxy, 0)] {
        let mut schedule = proxied(route);
        schedule.add(target(1, 22), at(0));
        let [ref start] = starts(&mut schedule, at(0))[..] else { panic!("one starts") };
        let Conclusion::Verdict(mut verdict) = verdict(PortState::Open) else { unreachable!() };
        verdict.syns_lost = 2;
        settle(&mut schedule, start, Conclusion::Verdict(verdict), at(20));
        assert_eq!(schedule.account(at(20)).syns, syns, "{route:?}");
        assert_eq!(schedule.network_losses().is_empty(), syns == 0, "{route:?}");
    }
}

#[test]
fn failure_of_the_proxy_leaves_a_name_with_several_addresses_unchecked() {
    let mut schedule = proxied(Route::Proxy);
    named(&mut schedule, &Ok(addresses(&[1, 2])));
    let failures = [
        conclusion(PortState::Closed, Reason::RefusedToProxy),
        conclusion(PortState::Unchecked, Reason::ProxyFailed),
    ];
    for failure in failures {
        let [ref start] = starts(&mut schedule, at(0))[..] else { panic!("one starts") };
        settle(&mut schedule, start, failure, at(0));
    }
    let outcomes = schedule.take_outcomes();
    assert_eq!(outcomes[0].verdict.reason, Reason::ProxyFailed);
}
