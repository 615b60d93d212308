//! Packets that are on their way, in the order of their arrival.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// The most packets that are on their way at once: a second of more than any program here sends.
const MAX_PACKETS: usize = 1 << 18;

/// A packet, the side that it goes to, and when it arrives.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Delivery {
    at: Duration,
    /// Packets that arrive at the same time keep their order.
    number: u64,
    to_hosts: bool,
    frame: Vec<u8>,
}

/// The packets that are on their way.
#[derive(Debug, Default)]
pub(crate) struct DeliveryQueue {
    packets: BinaryHeap<Reverse<Delivery>>,
    number: u64,
}

impl DeliveryQueue {
    /// Adds a packet. Returns whether there was room.
    pub(crate) fn push(&mut self, at: Duration, to_hosts: bool, frame: Vec<u8>) -> bool {
        let has_room = self.packets.len() < MAX_PACKETS;
        if has_room {
            self.number += 1;
            self.packets.push(Reverse(Delivery { at, number: self.number, to_hosts, frame }));
        }
        has_room
    }

    /// Returns when the next packet arrives.
    pub(crate) fn next_time(&self) -> Option<Duration> {
        self.packets.peek().map(|Reverse(delivery)| delivery.at)
    }

    /// Takes the next packet that has arrived by `now`, and whether it goes to the hosts.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<(bool, Vec<u8>)> {
        self.next_time().filter(|&at| at <= now)?;
        self.packets.pop().map(|Reverse(delivery)| (delivery.to_hosts, delivery.frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_arrive_in_order_of_time_and_then_of_addition() {
        let mut queue = DeliveryQueue::default();
        for (at, byte) in [(5, 1), (3, 2), (5, 3), (9, 4)] {
            assert!(queue.push(Duration::from_secs(at), byte % 2 == 0, vec![byte]));
        }
        assert_eq!(queue.next_time(), Some(Duration::from_secs(3)));
        assert_eq!(queue.pop(Duration::from_secs(2)), None);
        let now = Duration::from_secs(5);
        let arrived: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
        assert_eq!(arrived, [(true, vec![2]), (false, vec![1]), (false, vec![3])]);
        assert_eq!(queue.next_time(), Some(Duration::from_secs(9)));
    }
}
