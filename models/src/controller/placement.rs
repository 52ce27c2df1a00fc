//! Where the replicas of a new topic go (`StripedReplicaPlacer`).
//!
//! Racks and the brokers within each form rings with drawn starts. A partition's first replica is the next
//! unfenced broker of its first rack; each further one comes from the next rack, unfenced brokers before fenced
//! ones. Everything moves on by one from partition to partition, and is shuffled after as many partitions as
//! there are unfenced brokers. Spreading over racks goes before spreading over brokers.

use crate::controller::heartbeats::UsableBroker;
use crate::ids::{ServerId, Servers};
use crate::protocol::ErrorCode;

/// Draws a number below its argument.
pub(super) type Draw<'a> = &'a mut dyn FnMut(u64) -> u64;

/// Brokers of one rack, all unfenced or all fenced.
#[derive(Default)]
struct Ring {
    brokers: Vec<ServerId>,
    /// How many were taken in this round.
    taken: usize,
    start: usize,
    /// The round in which it was last asked.
    round: u32,
}

impl Ring {
    fn start_at_random(&mut self, draw: Draw) {
        if !self.brokers.is_empty() {
            self.brokers.sort_unstable();
            self.start = draw(self.brokers.len() as u64) as usize;
        }
    }

    fn next(&mut self, round: u32) -> Option<ServerId> {
        let length = self.brokers.len();
        if length == 0 {
            return None;
        }
        if self.round != round {
            self.round = round;
            self.taken = 0;
            self.start = (self.start + 1) % length;
        }
        if self.taken >= length {
            return None;
        }
        self.taken += 1;
        Some(self.brokers[(self.taken - 1 + self.start) % length])
    }
}

struct Rack {
    name: Option<u16>,
    unfenced: Ring,
    fenced: Ring,
}

impl Rack {
    fn next(&mut self, round: u32) -> Option<ServerId> {
        self.unfenced.next(round).or_else(|| self.fenced.next(round))
    }
}

struct Racks {
    racks: Vec<Rack>,
    unfenced: u32,
    round: u32,
    start: usize,
}

impl Racks {
    fn new(brokers: &[UsableBroker], draw: Draw) -> Self {
        let mut racks: Vec<Rack> = Vec::new();
        for broker in brokers {
            let position = racks.iter().position(|rack| rack.name == broker.rack);
            let index = position.unwrap_or_else(|| {
                racks.push(Rack {
                    name: broker.rack,
                    unfenced: Ring::default(),
                    fenced: Ring::default(),
                });
                racks.len() - 1
            });
            let rack = &mut racks[index];
            let ring = if broker.fenced {
                &mut rack.fenced
            } else {
                &mut rack.unfenced
            };
            ring.brokers.push(broker.id);
        }
        racks.sort_unstable_by_key(|rack| rack.name);
        for rack in &mut racks {
            rack.fenced.start_at_random(draw);
            rack.unfenced.start_at_random(draw);
        }
        let start = draw(racks.len() as u64) as usize;
        Racks {
            racks,
            unfenced: brokers.iter().filter(|broker| !broker.fenced).count() as u32,
            round: 0,
            start,
        }
    }

    fn place(&mut self, replicas: u16, draw: Draw) -> Servers {
        // A single unfenced broker would start the first round for ever.
        if self.round == self.unfenced && self.unfenced > 1 {
            self.shuffle(draw);
            self.round = 0;
        }
        let count = self.racks.len();
        if self.start == count {
            self.start = 0;
        }
        let mut chosen = Servers::new();
        let mut first = self.start;
        let leader = loop {
            if let Some(broker) = self.racks[first].unfenced.next(self.round) {
                break broker;
            }
            first = (first + 1) % count;
        };
        chosen.push(leader);
        let (mut index, mut skip) = (self.start, Some(first));
        while chosen.len() < usize::from(replicas) {
            if skip == Some(index) {
                skip = None;
            } else if let Some(broker) = self.racks[index].next(self.round) {
                chosen.push(broker);
            }
            index = (index + 1) % count;
        }
        self.round += 1;
        self.start += 1;
        chosen
    }

    fn shuffle(&mut self, draw: Draw) {
        shuffle(&mut self.racks, draw);
        for rack in &mut self.racks {
            shuffle(&mut rack.fenced.brokers, draw);
            shuffle(&mut rack.unfenced.brokers, draw);
        }
    }
}

fn shuffle<T>(list: &mut [T], draw: Draw) {
    for length in (2..=list.len()).rev() {
        list.swap(length - 1, draw(length as u64) as usize);
    }
}

/// Replicas for each partition, in order of preference; the first is unfenced.
///
/// # Errors
/// INVALID_REPLICATION_FACTOR if fewer brokers than replicas are usable, or none is unfenced.
pub(super) fn place(
    brokers: &[UsableBroker],
    partitions: u32,
    replicas: u16,
    draw: Draw,
) -> Result<Vec<Servers>, ErrorCode> {
    let any_unfenced = brokers.iter().any(|broker| !broker.fenced);
    if replicas == 0 || !any_unfenced || usize::from(replicas) > brokers.len() {
        return Err(ErrorCode::InvalidReplicationFactor);
    }
    let mut racks = Racks::new(brokers, draw);
    Ok((0..partitions).map(|_| racks.place(replicas, draw)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: u16, rack: Option<u16>, fenced: bool) -> UsableBroker {
        UsableBroker {
            id: ServerId(id),
            rack,
            fenced,
        }
    }

    fn placed(brokers: &[UsableBroker], partitions: u32, replicas: u16) -> Vec<Vec<u16>> {
        let placed = place(brokers, partitions, replicas, &mut |_| 0).unwrap();
        placed
            .iter()
            .map(|replicas| replicas.iter().map(|id| id.0).collect())
            .collect()
    }

    #[test]
    fn leaders_and_followers_go_round_the_brokers() {
        let brokers = [1, 2, 3].map(|id| broker(id, None, false));
        assert_eq!(placed(&brokers, 3, 3), [[1, 2, 3], [2, 3, 1], [3, 1, 2]]);
    }

    #[test]
    fn replicas_of_a_partition_lie_in_different_racks() {
        let brokers = [1, 2, 3, 4].map(|id| broker(id, Some(id % 2), false));
        for replicas in placed(&brokers, 4, 2) {
            assert_ne!(replicas[0] % 2, replicas[1] % 2, "{replicas:?}");
        }
    }

    #[test]
    fn a_fenced_broker_is_a_follower_after_the_unfenced_ones_of_its_rack() {
        let brokers = [
            broker(1, None, true),
            broker(2, None, false),
            broker(3, None, false),
        ];
        assert_eq!(placed(&brokers, 2, 3), [[2, 3, 1], [3, 2, 1]]);
    }

    #[test]
    fn a_single_unfenced_broker_leads_all_partitions() {
        let brokers = [broker(1, None, true), broker(2, None, false)];
        assert_eq!(placed(&brokers, 3, 2), [[2, 1], [2, 1], [2, 1]]);
    }

    #[test]
    fn without_enough_brokers_or_without_an_unfenced_one_the_replication_factor_is_refused() {
        let fenced = [broker(1, None, true), broker(2, None, true)];
        let refused = Err(ErrorCode::InvalidReplicationFactor);
        assert_eq!(place(&fenced, 1, 1, &mut |_| 0), refused);
        assert_eq!(place(&[broker(1, None, false)], 1, 2, &mut |_| 0), refused);
        assert_eq!(place(&[broker(1, None, false)], 1, 0, &mut |_| 0), refused);
    }
}
