//! Exact upper bounds on the number of targets with a property, from a random sample of them.

use libm::lgamma;

/// The probability that a bound may fail, if up to three are stated of the same targets: 5 % in all.
const ALPHA: f64 = 0.05 / 3.0;

/// Returns how many of `population` targets can have a property when `hits` of the `sample` that
/// were drawn at random from them have it.
///
/// It is the largest number under which so few hits, or fewer, have a probability above 5 % ÷ 3, by the
/// hypergeometric distribution.
pub(super) fn of_sample(population: u64, sample: u64, hits: u64) -> u64 {
    let without = sample - hits;
    largest(hits, population - without, |marked| {
        few_hits_of_sample(population, marked, sample, hits)
    })
}

/// Returns how many of `population` targets can have a property when `hits` were found although each
/// of them was drawn with this probability or a higher one.
///
/// It is the largest number under which so few hits, or fewer, have a probability above 5 % ÷ 3, by the
/// binomial distribution. When samples are drawn from several groups, the number of hits is a sum of
/// independent indicators with at least the same mean. Below its mean such a sum has a lighter tail
/// than the binomial distribution (Hoeffding, "On the distribution of the number of successes in
/// independent trials", 1956).
pub(super) fn of_fraction(population: u64, fraction: f64, hits: u64) -> u64 {
    largest(hits, population, |marked| few_hits_of_fraction(marked, fraction, hits))
}

/// Returns how many answers at most are to be expected of one more attempt on as many targets, when
/// these gave so many answers.
///
/// It is the largest mean under which so few answers, or fewer, have a probability above 5 % ÷ 3, by
/// the Poisson distribution. It covers targets that answer only some of their attempts, of which the
/// next ones are as likely to answer as the last ones were.
pub(super) fn of_answers(answers: u64) -> f64 {
    // The mean of the answers, four standard deviations and a few more are enough.
    let most = float(answers) + 4.0 * float(answers).sqrt() + 8.0;
    let (mut possible, mut end) = (0.0, most);
    while end - possible > 1e-6 * most {
        let middle = f64::midpoint(possible, end);
        if few_answers(middle, answers) > ALPHA {
            possible = middle;
        } else {
            end = middle;
        }
    }
    end
}

/// Returns the largest number from `least` to `most` whose probability is above [`ALPHA`]. The
/// probability must not rise with the number, and is 1 at `least`.
fn largest(least: u64, most: u64, probability: impl Fn(u64) -> f64) -> u64 {
    let (mut possible, mut end) = (least, most + 1);
    while end - possible > 1 {
        let middle = possible + (end - possible) / 2;
        if probability(middle) > ALPHA {
            possible = middle;
        } else {
            end = middle;
        }
    }
    possible
}

/// Returns the probability of at most `hits` marked targets in a sample.
fn few_hits_of_sample(population: u64, marked: u64, sample: u64, hits: u64) -> f64 {
    let least = (sample + marked).saturating_sub(population);
    let all = ln_choose(population, sample);
    let of = |hits| ln_choose(marked, hits) + ln_choose(population - marked, sample - hits) - all;
    (least..=hits.min(marked).min(sample)).map(|hits| of(hits).exp()).sum()
}

/// Returns the probability of at most `hits` marked targets when each is drawn with this probability.
fn few_hits_of_fraction(marked: u64, fraction: f64, hits: u64) -> f64 {
    let (drawn, missed) = (fraction.ln(), (-fraction).ln_1p());
    let mut ln_term = float(marked) * missed;
    let mut sum = ln_term.exp();
    for hit in 0..hits.min(marked) {
        ln_term += (float(marked - hit) / float(hit + 1)).ln() + drawn - missed;
        sum += ln_term.exp();
    }
    sum
}

/// Returns the probability of at most so many answers when this is their mean.
fn few_answers(mean: f64, answers: u64) -> f64 {
    let of = |number| float(number) * mean.ln() - mean - lgamma(float(number) + 1.0);
    (0..=answers).map(|number| of(number).exp()).sum()
}

/// Returns the logarithm of the number of ways to choose `some` of `all`.
fn ln_choose(all: u64, some: u64) -> f64 {
    let ln_factorial = |number| lgamma(float(number) + 1.0);
    ln_factorial(all) - ln_factorial(some) - ln_factorial(all - some)
}

/// Converts a count to a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "counts of targets are below 2^53")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the probability of at most `hits` in a sample, by counting with exact fractions.
    fn counted(population: u64, marked: u64, sample: u64, hits: u64) -> f64 {
        let choose = |all: u64, some: u64| -> u128 {
            if some > all {
                return 0;
            }
            (0..some).fold(1, |ways, it| ways * u128::from(all - it) / u128::from(it + 1))
        };
        let ways = |hits| choose(marked, hits) * choose(population - marked, sample - hits);
        let few: u128 = (0..=hits).map(ways).sum();
        float(u64::try_from(few).expect("the test is small"))
            / float(u64::try_from(choose(population, sample)).expect("the test is small"))
    }

    #[test]
    fn bound_of_a_sample_is_the_exact_one() {
        for population in [1, 2, 10, 40] {
            for sample in 1..=population {
                for hits in 0..=sample.min(4) {
                    let bound = of_sample(population, sample, hits);
                    let possible = (hits..=population - (sample - hits))
                        .filter(|&marked| counted(population, marked, sample, hits) > ALPHA);
                    assert_eq!(Some(bound), possible.max(), "{population} {sample} {hits}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_missed_when_all_are_asked() {
        assert_eq!(of_sample(5000, 5000, 0), 0);
        assert_eq!(of_sample(5000, 5000, 7), 7);
    }

    #[test]
    fn expected_answers_are_those_of_the_poisson_distribution() {
        // The means under which 0, 1 and 10 answers or fewer have a probability of 5 % ÷ 3.
        for (answers, mean) in [(0, 60_f64.ln()), (1, 6.047), (2, 7.72)] {
            let found = of_answers(answers);
            assert!((found - mean).abs() < 0.1, "{answers}: {found}");
            assert!((few_answers(found, answers) - ALPHA).abs() < 1e-4);
        }
        assert!((5_250.0..5_350.0).contains(&of_answers(5_132)), "{}", of_answers(5_132));
    }

    #[test]
    fn default_sample_without_hits_bounds_a_thousandth() {
        let bound = of_sample(129_024, 4095, 0);
        assert!((120..=129).contains(&bound), "{bound}");
        let bound = of_sample(1 << 20, 4095, 0);
        assert!((1040..=1048).contains(&bound), "{bound}");
    }

    #[test]
    fn bound_of_a_fraction_exceeds_that_of_a_sample_by_little() {
        for hits in [0, 1, 5, 40] {
            let (exact, bound) =
                (of_sample(1_000_000, 4095, hits), of_fraction(1_000_000, 0.004_095, hits));
            assert!(bound >= exact && bound <= exact + exact / 100 + 1, "{hits}: {exact} {bound}");
        }
        assert_eq!(of_fraction(10, 0.001, 0), 10, "it is at most the population");
        assert!(of_fraction(1 << 40, 1e-6, 2000) > 2_000_000_000);
    }
}
