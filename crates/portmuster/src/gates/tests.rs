//! Tests of whole gates, from outcomes to the report.

use std::time::{Duration, SystemTime};

use super::*;
use crate::{
    outcome::{Account, Certainty, Look, PortState, Reason, Service, Verdict},
    targets::Target,
};

fn outcome(port: u16, state: PortState, service: Option<Service>) -> Outcome {
    let verdict = Verdict::unconnected(state, Reason::Accepted, Duration::ZERO);
    Outcome {
        target: Target::from(("192.0.2.1", port)),
        endpoint: None,
        verdict: Verdict { service, ..verdict },
        attempts: 1,
        time: SystemTime::UNIX_EPOCH,
        position: 0,
    }
}

fn open(port: u16, service: Service) -> Outcome {
    outcome(port, PortState::Open, Some(service))
}

fn filtered(port: u16) -> Outcome {
    outcome(port, PortState::Filtered, None)
}

fn closed(port: u16) -> Outcome {
    outcome(port, PortState::Closed, None)
}

/// Examines the outcomes, and returns the totals of a run that consists of them.
fn examine(gates: &mut Gates, outcomes: &[Outcome]) -> RunTotals {
    let mut account = Account::default();
    for outcome in outcomes {
        gates.add(outcome);
        account.targets += 1;
        account.add(&outcome.verdict);
    }
    RunTotals::new(account, Some(outcomes.len() as u128))
}

fn no_telnet() -> Gates {
    Gates::new([Service::Telnet]).requiring_verdicts([])
}

#[test]
fn run_with_proof_for_each_target_passes() {
    let mut gates = no_telnet();
    let totals = examine(&mut gates, &[closed(1), open(22, Service::Ssh)]);
    let report = gates.report(&totals);
    assert!(!report.is_violated());
    assert_eq!((report.items[0].absent, report.items[0].found.count), (2, 0));
    assert_eq!((report.input_size, report.left, report.unproven), (2, 0, Some(Vec::new())));
}

#[test]
fn found_targets_are_counted_and_the_first_are_named() {
    let mut gates = Gates::new([Service::Telnet]);
    let outcomes: Vec<_> = (1..=7).map(|port| open(port, Service::Telnet)).collect();
    let totals = examine(&mut gates, &outcomes);
    let report = gates.report(&totals);
    assert!(report.is_violated());
    let found = &report.items[0].found;
    assert_eq!((found.count, found.first.len()), (7, 5));
    assert_eq!(found.first[0], "192.0.2.1:1");
}

#[test]
fn addresses_of_a_name_are_named_apart() {
    let mut gates = no_telnet();
    let at = |address: [u8; 4]| Outcome {
        target: Target::from(("db.example", 23)),
        endpoint: Some((address, 23).into()),
        ..open(23, Service::Telnet)
    };
    let totals = examine(&mut gates, &[at([192, 0, 2, 1]), at([192, 0, 2, 2])]);
    let named = &gates.report(&totals).items[0].found.first;
    assert_eq!(*named, ["db.example:23 at 192.0.2.1", "db.example:23 at 192.0.2.2"]);
}

#[test]
fn missing_verdict_violates_unless_its_kind_is_allowed() {
    let outcomes = [closed(1), open(2, Service::Silent)];
    let mut strict = no_telnet();
    let totals = examine(&mut strict, &outcomes);
    let report = strict.report(&totals);
    assert!(report.is_violated());
    assert_eq!(report.items[0].inconclusive, [(Inconclusive::Silent, 1)]);
    let unproven = report.unproven.expect("verdicts are required");
    assert_eq!(unproven.len(), 1);
    assert_eq!(
        (unproven[0].kind, &unproven[0].first[0][..]),
        (Inconclusive::Silent, "192.0.2.1:2")
    );

    let allowing = Gates::new([Service::Telnet]).requiring_verdicts([Inconclusive::Silent]);
    let lenient = Gates::new([Service::Telnet]);
    for mut gates in [allowing, lenient] {
        let totals = examine(&mut gates, &outcomes);
        assert!(!gates.report(&totals).is_violated(), "{gates:?}");
    }
}

#[test]
fn each_kind_of_missing_target_violates_required_verdicts() {
    type Miss = fn(&mut RunTotals);

    let misses: [Miss; 5] = [
        |totals| totals.targets += 1,
        |totals| totals.account.excluded = 1,
        |totals| totals.skipped.excluded = 1,
        |totals| totals.bad_lines = 1,
        |totals| totals.is_cut_short = true,
    ];
    for (index, miss) in misses.into_iter().enumerate() {
        let mut gates = no_telnet();
        let mut totals = examine(&mut gates, &[closed(1)]);
        assert!(!gates.report(&totals).is_violated());
        miss(&mut totals);
        // An excluded target is one of the run.
        totals.targets += u128::from(totals.account.excluded);
        assert!(gates.report(&totals).is_violated(), "{index}");
    }
}

#[test]
fn targets_that_were_never_taken_are_left() {
    let mut gates = no_telnet();
    let account = examine(&mut gates, &[closed(1)]).account;
    let report = gates.report(&RunTotals::new(account, Some(3)));
    assert_eq!(report.left, 2);
    assert!(report.is_violated());
}

#[test]
fn outcomes_that_were_not_examined_are_left() {
    let mut gates = no_telnet();
    let totals = examine(&mut no_telnet(), &[closed(1)]);
    let report = gates.report(&totals);
    assert_eq!(report.left, 1);
    assert!(report.is_violated());
    gates.add(&closed(1));
    assert!(!gates.report(&totals).is_violated());
}

#[test]
fn run_without_answers_violates_every_gate() {
    let outcomes = [outcome(1, PortState::Filtered, None)];
    let mut gates = Gates::new([Forbidden::Open]).requiring_verdicts([Inconclusive::Filtered]);
    let totals = examine(&mut gates, &outcomes);
    let report = gates.report(&totals);
    assert!(report.is_violated() && !report.has_answers);
}

#[test]
fn silent_targets_that_may_be_missed_violate_a_limit() {
    let outcomes = [closed(1), filtered(2)];
    let allowed = || no_telnet().requiring_verdicts([Inconclusive::Filtered]);
    let mut gates = allowed().limiting_missed(MaxMissed::default());
    let mut totals = examine(&mut gates, &outcomes);
    let exceeded = |gates: &Gates, totals: &RunTotals| {
        let report = gates.report(totals);
        assert_eq!(report.is_violated(), report.exceeded_max_missed.is_some());
        report.exceeded_max_missed
    };
    assert_eq!(exceeded(&gates, &totals), Some(MaxMissed::default()), "nothing was measured");
    let certainty = |asked| {
        let look = Look { population: 1000, asked, hits: 0, failed: 0, found: 0 };
        let mut certainty = Certainty::default();
        certainty.silent.add_block(1000, &[look]);
        Some(certainty)
    };
    totals.certainty = certainty(10);
    assert!(exceeded(&gates, &totals).is_some());
    totals.certainty = certainty(1000);
    assert_eq!(exceeded(&gates, &totals), None);

    let mut unlimited = allowed();
    let totals = examine(&mut unlimited, &outcomes);
    assert_eq!(exceeded(&unlimited, &totals), None);
    let mut all_closed = allowed().limiting_missed(MaxMissed::default());
    let totals = examine(&mut all_closed, &[closed(1)]);
    assert_eq!(exceeded(&all_closed, &totals), None, "nothing was silent");
}

#[test]
fn repeated_items_count_once() {
    let mut gates = Gates::new(
        ["ssh", "telnet", "ssh"]
            .map(|name| name.parse::<Forbidden>().expect("the name can be forbidden")),
    );
    let totals = examine(&mut gates, &[closed(1)]);
    let items: Vec<_> = gates.report(&totals).items.iter().map(|item| item.item.name()).collect();
    assert_eq!(items, ["ssh", "telnet"]);
}

#[test]
fn state_is_resumed_only_by_the_same_number_of_items_after_its_outcomes() {
    let mut gates = no_telnet();
    let totals = examine(&mut gates, &[closed(1), open(23, Service::Telnet)]);
    let state = gates.state().clone();
    assert!(state.is_sound(&totals.account));
    let resumed = no_telnet().resuming(state.clone(), 2).expect("the state is of these gates");
    assert!(resumed.report(&totals).is_violated());
    assert_eq!(no_telnet().resuming(state.clone(), 1), Err(GateMismatch));
    assert_eq!(Gates::default().resuming(state, 2), Err(GateMismatch));
}

/// Journals of earlier builds contain this text.
#[test]
fn state_is_serialized_with_fixed_names() {
    let mut gates = no_telnet();
    examine(&mut gates, &[open(23, Service::Telnet), open(1, Service::Silent)]);
    let text = serde_json::to_string(gates.state()).expect("the state is representable");
    let none = r#"{"count":0,"first":[]}"#;
    let unproven = [none; 4].into_iter().chain([r#"{"count":1,"first":["192.0.2.1:1"]}"#]);
    let unproven = unproven.chain([none; 11]).collect::<Vec<_>>().join(",");
    let expected = format!(
        r#"{{"tallies":[{{"found":{{"count":1,"first":["192.0.2.1:23"]}},"absent":0,"unknown":[0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0]}}],"unproven":[{unproven}],"seen":2}}"#
    );
    assert_eq!(text, expected);
    let read: GateState = serde_json::from_str(&text).expect("the text is a state");
    assert_eq!(&read, gates.state());
}
