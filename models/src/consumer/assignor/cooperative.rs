//! `CooperativeStickyAssignor`: the sticky assignment, without what another member still has to give up.

use crate::ids::GenerationId;

use super::{Assignor, AssignorThrows, Group, Tp, sticky};

pub(super) fn assign(group: &Group<'_>, newest: &mut GenerationId) -> Result<Vec<Vec<Tp>>, AssignorThrows> {
    let sticky = sticky::assign(group, newest, Assignor::CooperativeSticky)?;
    let mut given = sticky.given;
    let changing = sticky.changing.unwrap_or_else(|| changing(group, &given));
    for (partition, member) in changing {
        given[member].retain(|other| *other != partition);
    }
    Ok(given)
}

/// What is given to one member while another owns it (`computePartitionsTransferringOwnership`).
fn changing(group: &Group<'_>, given: &[Vec<Tp>]) -> Vec<(Tp, usize)> {
    let owned: Vec<Vec<Tp>> = group
        .members
        .iter()
        .map(|member| group.known(&member.subscription.owned))
        .collect();
    let mut revoked: Vec<Tp> = Vec::new();
    for (owned, given) in owned.iter().zip(given) {
        revoked.extend(owned.iter().filter(|partition| !given.contains(partition)));
    }
    let mut changing = Vec::new();
    for (member, (owned, given)) in owned.iter().zip(given).enumerate() {
        let added = given.iter().filter(|partition| !owned.contains(partition));
        changing.extend(
            added
                .filter(|partition| revoked.contains(partition))
                .map(|partition| (*partition, member)),
        );
    }
    changing
}
