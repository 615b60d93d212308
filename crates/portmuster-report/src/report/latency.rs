//! How long servers took to accept a connection, and to send their first byte.

use serde::Serialize;

use crate::collect::Collector;

/// The upper ends of the bars, in milliseconds. Times above the last one are in a bar of their own.
const ENDS: [f64; 17] = [
    0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 3_000.0,
    5_000.0, 10_000.0, 30_000.0,
];

/// How long servers took, from the start of the attempt.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LatencySection {
    /// Until the connection was accepted.
    pub connect: Histogram,
    /// Until the first byte arrived, which is after that.
    pub first_byte: Histogram,
}

/// The distribution of times, in milliseconds. The quantiles are `None` without any time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Histogram {
    /// The upper ends of the bars.
    pub ends_ms: Vec<f64>,
    /// The number of times in each bar, and of those above the last end.
    pub counts: Vec<u64>,
    /// Half of the times are at most this.
    pub median_ms: Option<f64>,
    /// 95 % of the times are at most this.
    pub p95_ms: Option<f64>,
    /// The longest time.
    pub max_ms: Option<f64>,
}

impl LatencySection {
    pub(super) fn new(rows: &Collector) -> Self {
        let open = rows.targets.iter().filter_map(|entry| entry.open);
        let open = open.map(|open| &rows.open[open as usize]);
        let connect = open.clone().filter_map(|port| port.connect_ms);
        let first_byte = open.filter_map(|port| port.first_byte_ms);
        Self {
            connect: Histogram::new(connect.collect()),
            first_byte: Histogram::new(first_byte.collect()),
        }
    }
}

impl Histogram {
    fn new(mut times: Vec<f32>) -> Self {
        times.sort_unstable_by(f32::total_cmp);
        let mut counts = vec![0; ENDS.len() + 1];
        for &time in &times {
            counts[ENDS.partition_point(|&end| end < f64::from(time))] += 1;
        }
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1) - 1;
            times.get(rank).copied().map(f64::from)
        };
        Self { ends_ms: ENDS.into(), median_ms: at(50), p95_ms: at(95), max_ms: at(100), counts }
    }

    /// Returns the number of times.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_times_begin_with_the_attempt_as_in_the_rows() {
        let mut rows = Collector::default();
        let row = br#"{"schema":1,"host":"a","port":22,"state":"open","reason":"x","service":"ssh","connect_ms":4,"first_byte_ms":16}"#;
        rows.add_line(row).expect("it is a row");
        let section = LatencySection::new(&rows);
        let medians = (section.connect.median_ms, section.first_byte.median_ms);
        assert_eq!(medians, (Some(4.0), Some(16.0)));
    }

    #[test]
    fn each_time_is_in_one_bar_and_quantiles_are_times() {
        let histogram = Histogram::new(vec![40_000.0, 0.125, 0.3, 7.0]);
        assert_eq!(histogram.times(), 4);
        assert_eq!((histogram.counts[0], histogram.counts[1], histogram.counts[17]), (1, 1, 1));
        assert_eq!(histogram.median_ms.map(|it| (it * 10.0).round()), Some(3.0));
        assert_eq!((histogram.p95_ms, histogram.max_ms), (Some(40_000.0), Some(40_000.0)));
        assert_eq!(Histogram::new(Vec::new()).median_ms, None);
    }
}
