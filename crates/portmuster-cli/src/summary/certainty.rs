//! What the summary says about the targets that did not answer and were asked again.

use portmuster::{
    config::MaxMissed,
    outcome::{Certainty, Recheck},
};

use crate::numbers::{count, with_commas};

/// What the summary says of a run that was stopped while it had silent targets.
pub(super) const STOPPED: &str = "certainty: the run was stopped before it had asked a sample of its \
     silent targets again, so no bound can be stated";

/// Returns a line for silent targets, and one for those that ICMP messages refused, if there are any.
///
/// `max_missed` is the largest share that may be missed.
pub(super) fn lines(certainty: &Certainty, max_missed: MaxMissed) -> Vec<String> {
    let strata = [
        (&certainty.silent, Stratum("silent target", "")),
        (&certainty.refused, Stratum("target", " that ICMP messages refused")),
    ];
    let strata: Vec<_> =
        strata.into_iter().filter(|(recheck, _)| population(recheck) > 0).collect();
    if certainty.is_blocked() && !strata.is_empty() {
        return vec![blocked(certainty)];
    }
    if certainty.is_cut_off() && !strata.is_empty() {
        return vec![cut_off(certainty)];
    }
    let bound = |(recheck, stratum)| format!("certainty: {}", bound(recheck, stratum, max_missed));
    strata.into_iter().map(bound).collect()
}

/// What some targets are: the words before and after the s of the plural.
#[derive(Debug, Clone, Copy)]
struct Stratum(&'static str, &'static str);

impl Stratum {
    /// Formats a number of these targets.
    fn count(self, number: u64) -> String {
        count(number, self.0) + self.1
    }
}

/// Returns how many targets had not answered before some were asked again.
fn population(recheck: &Recheck) -> u64 {
    recheck.targets + recheck.answered
}

fn blocked(certainty: &Certainty) -> String {
    let Certainty { controls, silent_controls, .. } = certainty;
    format!(
        "certainty: {} of {} that had answered have fallen silent since: somebody may have begun to \
         block this machine, so no bound can be stated",
        with_commas(*silent_controls),
        count(*controls, "target")
    )
}

fn cut_off(certainty: &Certainty) -> String {
    let Certainty { controls, failed_controls, .. } = certainty;
    format!(
        "certainty: {} of {} that had answered could not be asked again, because this machine had no way \
         to them any more, so no bound can be stated",
        with_commas(*failed_controls),
        count(controls + failed_controls, "target")
    )
}

/// Says how many targets at most would answer one more attempt.
fn bound(recheck: &Recheck, stratum: Stratum, max_missed: MaxMissed) -> String {
    let population = population(recheck);
    let all = stratum.count(population);
    let Some((most, share)) = recheck.missed_max().zip(recheck.missed_share()) else {
        return format!("some of {all} were not measured to the end, so no bound can be stated");
    };
    let Recheck { targets, asked_again, failed, answered, .. } = *recheck;
    let at_most = format!("at most {} ({})", with_commas(most), percent(share));
    let rest = with_commas(targets);
    let again = with_commas(answered);
    let text = match answered {
        _ if failed > 0 => format!(
            "{again} of {all} answered when they were asked again, but {} failed on this machine and {} as \
             answered: {at_most} of the other {rest} would answer one more attempt (95 % confidence)",
            count(failed, "attempt"),
            if failed == 1 { "counts" } else { "count" },
        ),
        1 if population == 1 => format!("{all} answered, but only when it was asked again"),
        1.. if targets == 0 => {
            format!("all {all} answered, but only when they were asked again")
        }
        1.. if most == 0 => format!(
            "{again} of {all} answered only when they were asked again, and none of the other {rest} did \
             when these were asked once more"
        ),
        0 if population == 1 => format!("{all} was asked again and did not answer"),
        0 if asked_again >= population => format!("all {all} were asked again, none answered"),
        0 => format!(
            "{} of {all} were asked again, none answered: {at_most} would answer one more attempt \
             (95 % confidence)",
            with_commas(asked_again)
        ),
        _ => format!(
            "{again} of {all} answered only when they were asked again: {at_most} of the other {rest} \
             would answer one more attempt (95 % confidence)"
        ),
    };
    let is_within = share <= max_missed.share();
    let limit = if is_within {
        String::new()
    } else {
        format!(", which is more than the {max_missed} of --max-missed")
    };
    text + &limit
}

/// Formats a share as a percentage, rounded up to two decimals, or to four if it is small.
fn percent(share: f64) -> String {
    if share <= 0.0 {
        return "0%".to_owned();
    }
    let (decimals, unit) = if share >= 0.0001 { (2, 100.0) } else { (4, 10_000.0) };
    // Rounding errors of the multiplications must not add a unit.
    let rounded = (share * 100.0 * unit - 1e-6).ceil() / unit;
    format!("{rounded:.decimals$}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the numbers of a run, as a journal has them.
    fn certainty(silent: &str, refused: &str, controls: &str) -> Certainty {
        let nothing = r#"{"targets":0,"asked_again":0,"failed":0,"answered":0,"unmeasured":0,"blocks":0,
            "of_block":0,"used_up":0,"population":0,"hits":0,"smallest":[0,0]}"#;
        let or_nothing = |text| if str::is_empty(text) { nothing } else { text };
        let (silent, refused) = (or_nothing(silent), or_nothing(refused));
        let json = format!(r#"{{"silent":{silent},"refused":{refused},{controls}}}"#);
        serde_json::from_str(&json).expect("it is valid")
    }

    fn recheck(numbers: [u64; 5]) -> String {
        let [targets, asked, answered, unmeasured, bound] = numbers;
        let population = targets + answered;
        let blocks = u8::from(unmeasured == 0);
        format!(
            r#"{{"targets":{targets},"asked_again":{asked},"failed":0,"answered":{answered},
            "unmeasured":{unmeasured},"blocks":{blocks},"of_block":{bound},"used_up":0,
            "population":{population},"hits":{answered},"smallest":[{asked},{population}]}}"#
        )
    }

    const CONTROLS: &str =
        r#""controls":300,"silent_controls":0,"failed_controls":0,"blocked":false"#;

    fn line_of(numbers: [u64; 5]) -> String {
        let lines = lines(&certainty(&recheck(numbers), "", CONTROLS), MaxMissed::default());
        <[String; 1]>::try_from(lines).expect("one stratum is one line")[0].clone()
    }

    #[test]
    fn bound_is_stated_as_a_count_and_a_share() {
        assert_eq!(
            line_of([129_024, 4095, 0, 0, 129]),
            "certainty: 4,095 of 129,024 silent targets were asked again, none answered: at most 129 \
             (0.10%) would answer one more attempt (95 % confidence)"
        );
        assert_eq!(
            line_of([995, 600, 5, 0, 4]),
            "certainty: 5 of 1,000 silent targets answered only when they were asked again: at most 4 \
             (0.41%) of the other 995 would answer one more attempt (95 % confidence), which is more \
             than the 0.1% of --max-missed"
        );
    }

    #[test]
    fn nothing_is_bounded_when_all_were_asked_again() {
        let none = "certainty: all 300 silent targets were asked again, none answered";
        assert_eq!(line_of([300, 300, 0, 0, 0]), none);
        let four = "certainty: 4 of 300 silent targets answered only when they were asked again, and none \
                    of the other 296 did when these were asked once more";
        assert_eq!(line_of([296, 300, 4, 0, 0]), four);
        let all = "certainty: all 300 silent targets answered, but only when they were asked again";
        assert_eq!(line_of([0, 300, 300, 0, 0]), all);
    }

    #[test]
    fn one_target_is_no_plural() {
        let again = "certainty: 1 silent target was asked again and did not answer";
        assert_eq!(line_of([1, 1, 0, 0, 0]), again);
        let answered = "certainty: 1 silent target answered, but only when it was asked again";
        assert_eq!(line_of([0, 1, 1, 0, 0]), answered);
    }

    #[test]
    fn targets_that_could_not_be_asked_count_as_answers() {
        let failed = recheck([2304, 2048, 0, 0, 292]).replace(r#""failed":0"#, r#""failed":256"#);
        assert_eq!(
            lines(&certainty(&failed, "", CONTROLS), MaxMissed::default()),
            [
                "certainty: 0 of 2,304 silent targets answered when they were asked again, but 256 attempts \
              failed on this machine and count as answered: at most 292 (12.68%) of the other 2,304 would \
              answer one more attempt (95 % confidence), which is more than the 0.1% of --max-missed"
            ]
        );
    }

    #[test]
    fn no_bound_is_stated_for_a_run_that_is_blocked_or_lacks_a_look() {
        let unmeasured = "certainty: some of 500 silent targets were not measured to the end, so no bound can be stated";
        assert_eq!(line_of([500, 0, 0, 500, 0]), unmeasured);

        let controls = r#""controls":300,"silent_controls":12,"failed_controls":0,"blocked":true"#;
        let (one, two) = (recheck([500, 100, 0, 0, 9]), recheck([7, 7, 0, 0, 0]));
        let blocked = certainty(&one, &two, controls);
        assert_eq!(
            lines(&blocked, MaxMissed::default()),
            [
                "certainty: 12 of 300 targets that had answered have fallen silent since: somebody may \
             have begun to block this machine, so no bound can be stated"
            ]
        );
    }

    #[test]
    fn targets_that_icmp_refused_have_a_line_of_their_own() {
        let both = certainty(&recheck([300, 300, 0, 0, 0]), &recheck([7, 7, 0, 0, 0]), CONTROLS);
        let lines = lines(&both, MaxMissed::default());
        let refused =
            "certainty: all 7 targets that ICMP messages refused were asked again, none answered";
        assert_eq!((lines.len(), &*lines[1]), (2, refused));
        let none = certainty("", "", CONTROLS);
        assert!(super::lines(&none, MaxMissed::default()).is_empty());
    }

    #[test]
    fn percentages_are_rounded_up() {
        for (share, text) in [
            (0.001, "0.10%"),
            (0.000_999_8, "0.10%"),
            (0.0023, "0.23%"),
            (0.002_301, "0.24%"),
            (0.000_001, "0.0001%"),
            (0.000_012_34, "0.0013%"),
            (1.0, "100.00%"),
            (0.0, "0%"),
        ] {
            assert_eq!(percent(share), text);
        }
    }
}
