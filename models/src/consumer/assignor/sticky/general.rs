//! Members want different topics: partitions move until nothing improves (`GeneralAssignmentBuilder`).
//!
//! 1. Members keep what they own and still want, within their racks where those matter.
//! 2. What is left goes to the member with the fewest partitions that may have it, within racks first.
//! 3. New partitions, then all, move to members with at least two fewer, or back to a former owner, until no round
//!    changes anything; unless that is no better than before.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{AssignorThrows, Group, Member, Tp};
use super::Racks;
use super::movements::Movements;

pub(super) struct Builder<'a> {
    group: &'a Group<'a>,
    racks: &'a Racks<'a>,
    /// By member; none: it takes no part in moving.
    given: Vec<Option<Vec<Tp>>>,
    /// Members that take part, those with few partitions first.
    order: BTreeSet<(usize, Member)>,
    owners: BTreeMap<Tp, Member>,
    former: BTreeMap<Tp, Member>,
    /// Who may have a topic.
    candidates: Vec<Vec<Member>>,
    movements: Movements,
    revocation: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        group: &'a Group<'a>,
        racks: &'a Racks<'a>,
        owned: Vec<Vec<Tp>>,
        former: BTreeMap<Tp, Member>,
    ) -> Self {
        let mut candidates = vec![Vec::new(); group.topics.len()];
        for &member in &group.hashed {
            for topic in &group.wanted[member] {
                candidates[*topic].push(member);
            }
        }
        let mut owners = BTreeMap::new();
        for &member in &group.hashed {
            owners.extend(owned[member].iter().map(|partition| (*partition, member)));
        }
        Builder {
            group,
            racks,
            given: owned.into_iter().map(Some).collect(),
            order: BTreeSet::new(),
            owners,
            former,
            candidates,
            movements: Movements::default(),
            revocation: false,
        }
    }

    pub(super) fn build(mut self) -> Result<Vec<Vec<Tp>>, AssignorThrows> {
        let assigned = self.keep_owned();
        let mut all: Vec<Tp> = self.group.all().collect();
        all.sort_by_key(|partition| (self.candidates[partition.topic].len(), *partition));
        let left: Vec<Tp> = all
            .iter()
            .filter(|one| !assigned.contains(one))
            .copied()
            .collect();
        self.order = (0..self.given.len())
            .map(|member| (self.size(member), member))
            .collect();
        self.balance(all, left)
    }

    fn size(&self, member: Member) -> usize {
        self.given[member].as_ref().map_or(0, Vec::len)
    }

    fn keep_owned(&mut self) -> BTreeSet<Tp> {
        let mut assigned = BTreeSet::new();
        for (member, given) in self.given.iter_mut().enumerate() {
            let given = given.as_mut().expect("all take part at first");
            let before = given.len();
            given.retain(|partition| {
                self.group.wanted[member].contains(&partition.topic)
                    && !self.racks.mismatch(member, *partition)
            });
            self.revocation |= given.len() < before;
            assigned.extend(given.iter().copied());
        }
        assigned
    }

    fn balance(mut self, mut all: Vec<Tp>, mut left: Vec<Tp>) -> Result<Vec<Vec<Tp>>, AssignorThrows> {
        let initializing = self.order.last().is_none_or(|(size, _)| *size == 0);
        let mut unplaced = left.clone();
        if self.racks.matter {
            unplaced.retain(|partition| !self.place(*partition, true));
        }
        for partition in unplaced {
            self.place(partition, false);
        }
        let movable = |partition: &Tp| self.candidates[partition.topic].len() >= 2;
        all.retain(movable);
        left.retain(movable);
        let mut fixed: Vec<(Member, Vec<Tp>)> = Vec::new();
        for member in 0..self.given.len() {
            if !self.takes_part(member) {
                self.order.remove(&(self.size(member), member));
                fixed.extend(self.given[member].take().map(|given| (member, given)));
            }
        }
        let before = self.given.clone();
        if !self.revocation {
            self.improve(&left)?;
        }
        let moved = self.improve(&all)?;
        if !initializing && moved && score(&self.given) >= score(&before) {
            self.given = before;
        }
        for (member, given) in fixed {
            self.given[member] = Some(given);
        }
        Ok(self.given.into_iter().flatten().collect())
    }

    /// Gives a partition to the member with the fewest that may have it.
    fn place(&mut self, partition: Tp, within_racks: bool) -> bool {
        let fits = |(_, member): &&(usize, Member)| {
            self.group.wanted[*member].contains(&partition.topic)
                && !(within_racks && self.racks.mismatch(*member, partition))
        };
        let Some(&(size, member)) = self.order.iter().find(fits) else {
            return false;
        };
        self.order.remove(&(size, member));
        self.given[member]
            .as_mut()
            .expect("it takes part")
            .push(partition);
        self.owners.insert(partition, member);
        self.order.insert((size + 1, member));
        true
    }

    fn most_for(&self, member: Member) -> usize {
        let topics = self.group.wanted[member].iter();
        topics
            .map(|topic| self.group.topics[*topic].partitions.len())
            .sum()
    }

    /// Whether moving can change anything for a member (`canConsumerParticipateInReassignment`).
    fn takes_part(&self, member: Member) -> bool {
        let given = self.given[member].as_deref().unwrap_or_default();
        given.len() < self.most_for(member)
            || given
                .iter()
                .any(|partition| self.candidates[partition.topic].len() >= 2)
    }

    fn is_balanced(&self) -> Result<bool, AssignorThrows> {
        let (least, _) = self.order.first().ok_or(AssignorThrows)?;
        let (most, _) = self.order.last().ok_or(AssignorThrows)?;
        if least + 1 >= *most {
            return Ok(true);
        }
        let owner = |partition: Tp| {
            let has = |member: &Member| {
                self.given[*member]
                    .as_ref()
                    .is_some_and(|given| given.contains(&partition))
            };
            (0..self.given.len()).find(has).ok_or(AssignorThrows)
        };
        for &(size, member) in &self.order {
            if size == self.most_for(member) {
                continue;
            }
            for &topic in &self.group.wanted[member] {
                for partition in self.group.partitions(topic) {
                    let other = owner(partition)?;
                    if other != member && size + 1 < self.size(other) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Moves partitions until a round changes nothing; whether anything moved (`performReassignments`).
    fn improve(&mut self, partitions: &[Tp]) -> Result<bool, AssignorThrows> {
        let mut ever = false;
        loop {
            let mut moved = false;
            for &partition in partitions {
                if self.is_balanced()? {
                    break;
                }
                if let Some(to) = self.better_for(partition)? {
                    self.reassign(partition, to);
                    moved = true;
                }
            }
            ever |= moved;
            if !moved {
                return Ok(ever);
            }
        }
    }

    /// Who should rather have a partition: a former owner, or else the first that may have it.
    fn better_for(&self, partition: Tp) -> Result<Option<Member>, AssignorThrows> {
        let owner = *self.owners.get(&partition).ok_or(AssignorThrows)?;
        let size = self.size(owner);
        if let Some(&former) = self.former.get(&partition) {
            let given = self.given[former].as_ref().ok_or(AssignorThrows)?;
            if size > given.len() + 1 {
                return Ok(Some(former));
            }
        }
        let mut others = self.candidates[partition.topic].iter();
        if !others.any(|other| size > self.size(*other) + 1) {
            return Ok(None);
        }
        let wants = |(_, member): &&(usize, Member)| self.group.wanted[*member].contains(&partition.topic);
        let first = self.order.iter().find(wants).ok_or(AssignorThrows)?;
        Ok(Some(first.1))
    }

    fn reassign(&mut self, partition: Tp, to: Member) {
        let from = self.owners[&partition];
        let partition = self.movements.instead_of(partition, from, to);
        let from = self.owners[&partition];
        self.order.remove(&(self.size(from), from));
        self.order.remove(&(self.size(to), to));
        self.movements.moves(self.group, partition, from, to);
        let given = self.given[from].as_mut().expect("it takes part");
        given.retain(|other| *other != partition);
        self.given[to].as_mut().expect("it takes part").push(partition);
        self.owners.insert(partition, to);
        self.order.insert((self.size(to), to));
        self.order.insert((self.size(from), from));
    }
}

/// The sum of all differences in size: the lower the more even.
fn score(given: &[Option<Vec<Tp>>]) -> usize {
    let sizes: Vec<usize> = given.iter().flatten().map(Vec::len).collect();
    let differences = sizes.iter().enumerate();
    differences
        .map(|(place, size)| {
            sizes[place + 1..]
                .iter()
                .map(|other| size.abs_diff(*other))
                .sum::<usize>()
        })
        .sum()
}
