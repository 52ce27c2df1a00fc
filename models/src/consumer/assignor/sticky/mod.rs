//! `AbstractStickyAssignor`: as even as can be, and members keep what they had.
//!
//! If all members want the same topics, quotas decide ([`constrained`]); else partitions are moved from member to
//! member until nothing improves ([`general`]).

mod constrained;
mod general;
mod movements;
mod racks;

use std::collections::BTreeMap;

use self::racks::Racks;
use super::{Assignor, AssignorThrows, Group, Member, Tp};
use crate::ids::GenerationId;

/// A sticky assignment.
pub(super) struct Sticky {
    /// By member.
    pub(super) given: Vec<Vec<Tp>>,
    /// What changes its owner; none: not worked out.
    pub(super) changing: Option<Vec<(Tp, Member)>>,
}

/// What members had (`MemberData`).
struct Before {
    partitions: Vec<Tp>,
    generation: GenerationId,
}

fn before(group: &Group<'_>, member: Member, assignor: Assignor) -> Before {
    let subscription = &group.members[member].subscription;
    let user_data = subscription.user_data.as_ref();
    let told = user_data.map_or(GenerationId::NONE, |data| data.generation);
    // The sticky assignor is eager: its members own nothing while they join and tell what they had before.
    if assignor == Assignor::Sticky {
        return Before {
            partitions: user_data.map_or_else(Vec::new, |data| group.known(&data.previous)),
            generation: told,
        };
    }
    Before {
        partitions: group.known(&subscription.owned),
        generation: match subscription.generation {
            GenerationId::NONE => told,
            generation => generation,
        },
    }
}

/// What members own still, by the newest generations (`allSubscriptionsEqual`).
struct Ownership {
    owned: Vec<Vec<Tp>>,
    /// Claimed by several members of one generation: nobody's.
    claimed_twice: Vec<Tp>,
    all_want_the_same: bool,
}

fn ownership(group: &Group<'_>, newest: &mut GenerationId, assignor: Assignor) -> Ownership {
    let mut owned: Vec<Vec<Tp>> = vec![Vec::new(); group.members.len()];
    let mut claimed_twice = Vec::new();
    let mut owners: BTreeMap<Tp, Member> = BTreeMap::new();
    for &member in &group.hashed {
        let Before {
            partitions,
            generation,
        } = before(group, member, assignor);
        *newest = (*newest).max(generation);
        for partition in partitions {
            let Some(&other) = owners.get(&partition) else {
                owned[member].push(partition);
                owners.insert(partition, member);
                continue;
            };
            // The other's is the one it joined from, even for the sticky assignor.
            let others = group.members[other].subscription.generation;
            if generation >= others {
                match generation == others {
                    true => claimed_twice.push(partition),
                    false => owned[member].push(partition),
                }
                owned[other].retain(|one| *one != partition);
                owners.insert(partition, member);
            }
        }
    }
    Ownership {
        owned,
        claimed_twice,
        all_want_the_same: all_want_the_same(group),
    }
}

fn all_want_the_same(group: &Group<'_>) -> bool {
    let mut topics: &[u16] = &[];
    for &member in &group.hashed {
        let wanted = &group.members[member].subscription.topics;
        if topics.is_empty() {
            topics = wanted;
        } else if wanted.len() != topics.len() || !wanted.iter().all(|topic| topics.contains(topic)) {
            return false;
        }
    }
    true
}

pub(super) fn assign(
    group: &Group<'_>,
    newest: &mut GenerationId,
    assignor: Assignor,
) -> Result<Sticky, AssignorThrows> {
    let racks = Racks::new(group);
    let ownership = ownership(group, newest, assignor);
    if ownership.all_want_the_same {
        let (given, changing) = constrained::Builder::new(group, &racks, &ownership).build()?;
        return Ok(Sticky {
            given,
            changing: Some(changing),
        });
    }
    let former = former_owners(group, *newest, assignor);
    let given = general::Builder::new(group, &racks, ownership.owned, former).build()?;
    Ok(Sticky {
        given,
        changing: None,
    })
}

/// Who had partitions in generations before the newest (`prepopulateCurrentAssignments`).
fn former_owners(group: &Group<'_>, newest: GenerationId, assignor: Assignor) -> BTreeMap<Tp, Member> {
    let mut former: BTreeMap<Tp, (GenerationId, Member)> = BTreeMap::new();
    for &member in &group.hashed {
        let before = before(group, member, assignor);
        if before.generation >= newest {
            continue;
        }
        for partition in before.partitions {
            let known = former.get(&partition);
            if known.is_none_or(|(generation, _)| before.generation > *generation) {
                former.insert(partition, (before.generation, member));
            }
        }
    }
    former
        .into_iter()
        .map(|(partition, (_, member))| (partition, member))
        .collect()
}
