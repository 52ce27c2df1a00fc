//! Classic groups that become consumer groups and the other way (`ClassicGroup.fromConsumerGroup`).

use ktrial_sim::Time;

use super::member::ClassicGroupMember;
use super::rebalance::join_error;
use super::sync::sync_error;
use super::{ClassicGroup, GroupState};
use crate::groups::consumer::ConsumerGroupMember;
use crate::groups::operations::GroupAround;
use crate::ids::{GenerationId, GroupId, MemberId};
use crate::protocol::{Assignment, Assignor, ErrorCode, ProtocolType};

impl ClassicGroup {
    /// A stable group of members of a consumer group that use the classic protocol, with what they were to have there.
    ///
    /// # Panics
    /// If a member does not use the classic protocol.
    pub(in crate::groups) fn of_consumers<'a>(
        id: GroupId,
        generation: GenerationId,
        members: impl Iterator<Item = (&'a ConsumerGroupMember, Assignment)>,
        now: Time,
    ) -> Self {
        let mut group = ClassicGroup {
            state: GroupState::Stable,
            generation,
            protocol_type: Some(ProtocolType::Consumer),
            ..ClassicGroup::empty(id, now)
        };
        for (member, target) in members {
            let told = &member.metadata;
            let classic = told.classic.as_ref().expect("the others are gone");
            let member = ClassicGroupMember {
                id: member.id,
                instance: told.instance,
                client: told.client,
                rebalance_timeout: told.rebalance_timeout,
                session_timeout: classic.session_timeout,
                protocol_type: ProtocolType::Consumer,
                protocols: classic.protocols.clone(),
                assignment: Some(target),
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
            };
            group.add(member, None);
        }
        group.protocol = Some(group.select_protocol());
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// What its members are for; none: nobody ever joined.
    pub(in crate::groups) fn protocol_type(&self) -> Option<ProtocolType> {
        self.protocol_type
    }

    /// The protocol of its generation.
    pub(in crate::groups) fn protocol(&self) -> Option<Assignor> {
        self.protocol
    }

    /// Whoever waits is told to join again.
    pub(in crate::groups) fn send_all_to_join(&mut self, around: &mut GroupAround<'_>) {
        let again = ErrorCode::RebalanceInProgress;
        let members: Vec<MemberId> = self.members.keys().copied().collect();
        for id in members {
            let member = self.members.get_mut(&id).expect("it is a member");
            let (join, sync) = (member.awaiting_join.take(), member.awaiting_sync.take());
            if let Some(waiting) = join {
                around.answer(waiting, join_error(again, Some(id)));
            }
            if let Some(waiting) = sync {
                around.answer(waiting, sync_error(again));
            }
        }
    }
}
