//! All members want the same topics: quotas (`ConstrainedAssignmentBuilder`).
//!
//! 1. Members keep what they own up to their quota.
//! 2. Where racks matter, what is left goes to members in a rack of it, in turn.
//! 3. The rest goes to members below their quota, in turn.

use std::collections::{BTreeMap, VecDeque};

use super::super::{AssignorThrows, Group, Member, Tp};
use super::{Ownership, Racks};

/// Assignments by member, and what changes its owner.
type Built = (Vec<Vec<Tp>>, Vec<(Tp, Member)>);

pub(super) struct Builder<'a> {
    group: &'a Group<'a>,
    racks: &'a Racks<'a>,
    ownership: &'a Ownership,
    given: Vec<Vec<Tp>>,
    assigned: Vec<Tp>,
    revoked: BTreeMap<Tp, Member>,
    changing: Vec<(Tp, Member)>,
    /// Below the smaller quota.
    below: Vec<Member>,
    /// At the smaller quota; some of them get one more.
    at_least: VecDeque<Member>,
    least: usize,
    most: usize,
    /// How many members get more than the smaller quota.
    expected_over: usize,
    over: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(group: &'a Group<'a>, racks: &'a Racks<'a>, ownership: &'a Ownership) -> Self {
        let (partitions, members) = (group.all().count(), group.members.len());
        Builder {
            group,
            racks,
            ownership,
            given: vec![Vec::new(); members],
            assigned: Vec::new(),
            revoked: BTreeMap::new(),
            changing: Vec::new(),
            below: Vec::new(),
            at_least: VecDeque::new(),
            least: partitions / members,
            most: partitions.div_ceil(members),
            expected_over: partitions % members,
            over: 0,
        }
    }

    pub(super) fn build(mut self) -> Result<Built, AssignorThrows> {
        for place in 0..self.group.hashed.len() {
            self.keep_owned(self.group.hashed[place]);
        }
        let assigned = &self.assigned;
        let mut left: Vec<Tp> = self.group.all().filter(|one| !assigned.contains(one)).collect();
        self.below.sort();
        self.at_least.make_contiguous().sort();
        self.racks.sort_by_consumers(&mut left);
        if self.racks.matter {
            self.fill_within_racks(&mut left);
        }
        self.fill(&left)?;
        let short = |member: &Member| self.given[*member].len() != self.least;
        if !self.below.is_empty() && (self.over != self.expected_over || self.below.iter().any(short)) {
            return Err(AssignorThrows);
        }
        Ok((self.given, self.changing))
    }

    fn keep_owned(&mut self, member: Member) {
        let mut owned: Vec<Tp> = Vec::new();
        for &partition in &self.ownership.owned[member] {
            match self.racks.mismatch(member, partition) {
                true => _ = self.revoked.insert(partition, member),
                false => owned.push(partition),
            }
        }
        owned.sort_by_key(|partition| (partition.index, partition.topic));
        owned.retain(|partition| !self.ownership.claimed_twice.contains(partition));
        let kept = if owned.len() < self.least {
            self.below.push(member);
            owned.len()
        } else if owned.len() >= self.most && self.over < self.expected_over {
            self.over += 1;
            if self.over == self.expected_over {
                self.at_least.clear();
            }
            self.most
        } else {
            if self.over < self.expected_over {
                self.at_least.push_back(member);
            }
            self.least
        };
        self.given[member].extend_from_slice(&owned[..kept]);
        self.assigned.extend_from_slice(&owned[..kept]);
        self.revoked
            .extend(owned[kept..].iter().map(|partition| (*partition, member)));
    }

    fn give(&mut self, partition: Tp, member: Member) -> usize {
        self.given[member].push(partition);
        let from_another = self.revoked.get(&partition).is_some_and(|other| *other != member);
        if from_another || self.ownership.claimed_twice.contains(&partition) {
            self.changing.push((partition, member));
        }
        self.given[member].len()
    }

    fn fill_within_racks(&mut self, left: &mut Vec<Tp>) {
        let mut next = 0;
        let mut rest = Vec::new();
        for &partition in left.iter() {
            let member = match self.racks.next_consumer(partition, &self.below, next) {
                Some(place) => Some(self.next_below(place, &mut next)),
                None => self.next_at_least(partition),
            };
            match member {
                Some(member) => _ = self.give(partition, member),
                None => rest.push(partition),
            }
        }
        *left = rest;
    }

    fn next_below(&mut self, place: usize, next: &mut usize) -> Member {
        let member = self.below[place];
        let count = self.given[member].len() + 1;
        let mut after = place;
        if count >= self.least {
            self.below.remove(place);
            if count < self.most && self.over < self.expected_over {
                self.at_least.push_back(member);
            }
        } else {
            after += 1;
        }
        *next = match self.below.len() {
            0 => 0,
            members => after % members,
        };
        member
    }

    fn next_at_least(&mut self, partition: Tp) -> Option<Member> {
        let place = self
            .racks
            .next_consumer(partition, self.at_least.make_contiguous(), 0)?;
        let member = self.at_least[place];
        if self.given[member].len() + 1 == self.most {
            self.at_least.remove(place);
            self.over += 1;
            if self.over == self.expected_over {
                self.at_least.clear();
            }
        }
        Some(member)
    }

    fn fill(&mut self, left: &[Tp]) -> Result<(), AssignorThrows> {
        let mut next = 0;
        for &partition in left {
            if next >= self.below.len() {
                next = 0;
            }
            let from_below = !self.below.is_empty();
            let member = match from_below {
                true => self.below[next],
                false => self.at_least.pop_front().ok_or(AssignorThrows)?,
            };
            let count = self.give(partition, member);
            if count == self.least {
                if !from_below {
                    return Err(AssignorThrows);
                }
                self.below.remove(next);
                self.at_least.push_back(member);
            } else {
                next += usize::from(from_below);
                self.over += usize::from(count == self.most);
            }
        }
        Ok(())
    }
}
