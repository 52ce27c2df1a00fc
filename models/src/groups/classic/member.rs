//! A member of a classic group (`ClassicGroupMember`).

use std::sync::Arc;

use ktrial_sim::Duration;
use smallvec::SmallVec;

use crate::groups::ResponseId;
use crate::ids::{ClientId, GroupInstanceId, MemberId};
use crate::protocol::{Assignment, Assignor, JoinGroupRequest, ProtocolType, Subscription};

/// The protocols a member supports with its metadata for each, the preferred one first.
pub type Protocols = SmallVec<[(Assignor, Arc<Subscription>); 2]>;

/// A member of a classic group.
#[derive(Clone, Debug)]
pub struct ClassicGroupMember {
    /// Its id.
    pub id: MemberId,
    /// Of a static member.
    pub instance: Option<GroupInstanceId>,
    /// Its client's id.
    pub client: ClientId,
    /// How long a rebalance may wait for it.
    pub rebalance_timeout: Duration,
    /// How long it may be silent.
    pub session_timeout: Duration,
    /// What it is for.
    pub protocol_type: ProtocolType,
    /// What it supports.
    pub protocols: Protocols,
    /// What it is assigned; none: no bytes.
    pub assignment: Option<Assignment>,
    /// Its JoinGroup waits for the others.
    pub awaiting_join: Option<ResponseId>,
    /// Its SyncGroup waits for the assignment.
    pub awaiting_sync: Option<ResponseId>,
    /// It has not been through a rebalance: it may be expired although it waits.
    pub is_new: bool,
}

impl ClassicGroupMember {
    /// A member that joins for the first time.
    pub fn joining(id: MemberId, request: &JoinGroupRequest) -> Self {
        ClassicGroupMember {
            id,
            instance: request.instance,
            client: request.client,
            rebalance_timeout: request.rebalance_timeout,
            session_timeout: request.session_timeout,
            protocol_type: request.protocol_type,
            protocols: request.protocols.clone(),
            assignment: None,
            awaiting_join: None,
            awaiting_sync: None,
            is_new: true,
        }
    }

    /// Its metadata for a protocol that it supports.
    pub fn metadata(&self, protocol: Assignor) -> &Arc<Subscription> {
        let found = self
            .protocols
            .iter()
            .find(|(supported, _)| *supported == protocol);
        &found
            .expect("all members support the protocol that was selected")
            .1
    }

    /// Whether it needs no heartbeat at the moment: its request is what the coordinator holds.
    pub fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// Which of these protocols it prefers.
    pub fn vote(&self, candidates: &[Assignor]) -> Assignor {
        let mut supported = self.protocols.iter().map(|(protocol, _)| *protocol);
        supported
            .find(|protocol| candidates.contains(protocol))
            .expect("every member supports the candidates")
    }
}
