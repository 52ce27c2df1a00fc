//! What the unit tests of this component share.

use crate::ids::ServerId;
use crate::raft::voters::VoterSet;
use crate::specification::{ClusterSpecification, FeatureLevels, ServerSpecification};

/// Controllers 1 to 3 and broker 4, at a level of `kraft.version`.
pub(super) fn three_controllers(kraft: u16) -> ClusterSpecification {
    let server = |id| ServerSpecification {
        id: ServerId(id),
        broker: id == 4,
        controller: id < 4,
        rack: None,
    };
    ClusterSpecification {
        servers: (1..=4).map(server).collect(),
        topics: Vec::new(),
        groups: Default::default(),
        features: FeatureLevels {
            kraft,
            ..FeatureLevels::default()
        },
        broker: Default::default(),
        controller: Default::default(),
        capacity: Default::default(),
        mutations: Default::default(),
    }
}

/// The voters of [`three_controllers`].
pub(super) fn three_voters(kraft: u16) -> VoterSet {
    VoterSet::new(&three_controllers(kraft))
}
