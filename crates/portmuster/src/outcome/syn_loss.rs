//! How many SYNs were lost.

use std::fmt;

use super::certainty::float;

/// SYNs to endpoints that answered one of them, and how many got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SynLoss {
    /// How many were sent.
    pub sent: u64,
    /// How many of these got no answer, so that the system repeated them.
    pub lost: u64,
}

/// The loss on the way to one network: a /16 of IPv4 or a /48 of IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkLoss {
    /// The network, such as `10.200.0.0/16`.
    pub network: String,
    /// The SYNs to its endpoints.
    pub loss: SynLoss,
}

impl SynLoss {
    /// Returns the share that was lost, from 0 to 1; `None` if none was sent.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.sent > 0).then(|| float(self.lost) / float(self.sent))
    }

    /// Adds the SYNs of a connection that was answered after so many lost ones.
    pub(crate) fn add(&mut self, lost: u8) {
        self.sent += u64::from(lost) + 1;
        self.lost += u64::from(lost);
    }
}

/// Writes the network and its loss, such as `10.200.0.0/16: 2.1% of 4180 SYNs`.
impl fmt::Display for NetworkLoss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.loss.share().unwrap_or_default() * 100.0;
        write!(formatter, "{}: {share:.1}% of {} SYNs", self.network, self.loss.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_the_share_of_syns_without_an_answer() {
        let mut loss = SynLoss::default();
        assert_eq!(loss.share(), None);
        for lost in [0, 0, 1, 0] {
            loss.add(lost);
        }
        assert_eq!((loss.sent, loss.lost, loss.share()), (5, 1, Some(0.2)));
        let network = NetworkLoss { network: "10.200.0.0/16".to_owned(), loss };
        assert_eq!(network.to_string(), "10.200.0.0/16: 20.0% of 5 SYNs");
    }
}
