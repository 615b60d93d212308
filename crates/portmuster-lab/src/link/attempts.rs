//! When the endpoints behind a link were tried.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

/// The most connections of one endpoint whose start is recorded.
const MAX_STARTS: usize = 32;

/// The most endpoints that are recorded. Later ones are not.
const MAX_ENDPOINTS: usize = 1 << 22;

/// The connection attempts on one endpoint. Times count from the first packet of the near side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempts {
    /// The number of SYNs, with repetitions.
    pub syns: u32,
    /// The time of the last SYN.
    pub last: Duration,
    /// The time of the first SYN of each of the first 32 connections. A SYN from another port than
    /// the previous one starts a connection.
    pub starts: Vec<Duration>,
    last_port: u16,
}

/// The attempts on all endpoints.
#[derive(Debug, Default)]
pub(crate) struct AttemptLog(HashMap<SocketAddr, Attempts>);

impl AttemptLog {
    /// Records a SYN to the endpoint from this port.
    pub(crate) fn record(&mut self, endpoint: SocketAddr, from: u16, now: Duration) {
        if let Some(attempts) = self.0.get_mut(&endpoint) {
            if attempts.last_port != from && attempts.starts.len() < MAX_STARTS {
                attempts.starts.push(now);
            }
            attempts.syns += 1;
            attempts.last = now;
            attempts.last_port = from;
        } else if self.0.len() < MAX_ENDPOINTS {
            let starts = vec![now];
            self.0.insert(endpoint, Attempts { syns: 1, last: now, starts, last_port: from });
        }
    }

    pub(crate) fn get(&self, endpoint: SocketAddr) -> Option<&Attempts> {
        self.0.get(&endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syn_from_another_port_starts_a_connection() {
        let mut log = AttemptLog::default();
        let endpoint: SocketAddr = "10.0.0.1:22".parse().unwrap();
        for (from, second) in [(1000, 0), (1000, 1), (1001, 5), (1001, 6), (1001, 8)] {
            log.record(endpoint, from, Duration::from_secs(second));
        }
        let attempts = log.get(endpoint).unwrap();
        assert_eq!((attempts.syns, attempts.last), (5, Duration::from_secs(8)));
        assert_eq!(attempts.starts, [0, 5].map(Duration::from_secs));
        assert_eq!(log.get("10.0.0.1:23".parse().unwrap()), None);
    }
}
