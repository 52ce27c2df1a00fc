//! Registrations and heartbeats (`ClusterControlManager`, `ReplicationControlManager.processBrokerHeartbeat`).
//!
//! | registration | answer |
//! |---|---|
//! | another process of this id, while the session of the registered one lives | DUPLICATE_BROKER_REGISTRATION |
//! | the same process again | amended: epoch, fencing and controlled shutdown stay |
//! | a new process | the end of the log becomes its epoch; it starts fenced; what its former process leaves behind comes before its own record |

use ktrial_sim::Time;

use crate::controller::changes::Changes;
use crate::controller::heartbeats::{ControlState, Heartbeats};
use crate::ids::BrokerEpoch;
use crate::metadata::MetadataRecord;
use crate::notes::ChangeReason;
use crate::protocol::{
    BrokerHeartbeatRequest, BrokerIdentity, BrokerRegistrationRequest, ErrorCode, HeartbeatState,
};

/// Producer ids of one block (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const PRODUCER_ID_BLOCK: u32 = 1_000;

impl Changes<'_> {
    /// Registers a broker's process and says which epoch it has (`ClusterControlManager.registerBroker`).
    ///
    /// # Errors
    /// DUPLICATE_BROKER_REGISTRATION.
    pub(super) fn register(
        &mut self,
        request: &BrokerRegistrationRequest,
        heartbeats: &mut Heartbeats,
        now: Time,
    ) -> Result<BrokerEpoch, ErrorCode> {
        let broker = request.broker;
        let existing = self.state.image.broker(broker).copied();
        let same = existing.filter(|existing| existing.incarnation == request.incarnation);
        if let Some(existing) = existing
            && same.is_none()
            && heartbeats.has_valid_session(broker, existing.epoch, now)
        {
            return Err(ErrorCode::DuplicateBrokerRegistration);
        }
        let clean = existing.is_some() && existing.map(|existing| existing.epoch) == request.previous_epoch;
        if same.is_none() {
            self.clean_up_before_registration(broker, clean);
            heartbeats.remove(broker);
        }
        let epoch = same.map_or(BrokerEpoch(self.state.end.0), |same| same.epoch);
        let fenced = same.is_none_or(|same| same.fenced);
        heartbeats.register(broker, fenced);
        self.records.push(MetadataRecord::RegisterBroker {
            broker,
            incarnation: request.incarnation,
            epoch,
            rack: request.rack,
            directory: request.directory,
            fenced,
            in_controlled_shutdown: same.is_some_and(|same| same.in_controlled_shutdown),
            clean,
        });
        Ok(epoch)
    }

    /// Works through a heartbeat whose contact was noted before.
    ///
    /// # Errors
    /// STALE_BROKER_EPOCH if this is not the registered process.
    pub(super) fn heartbeat(
        &mut self,
        request: &BrokerHeartbeatRequest,
        heartbeats: &mut Heartbeats,
    ) -> Result<(HeartbeatState, ControlState), ErrorCode> {
        let BrokerIdentity { broker, epoch } = request.identity;
        self.state.check_broker_epoch(broker, epoch)?;
        let registered_at = self.state.registered_at(broker);
        let registered_at = registered_at.expect("a registered broker has a registration record");
        let leads = || self.state.has_leaderships(broker);
        let (current, next) = heartbeats.next_state(request, registered_at, leads);
        if current != next {
            match next {
                ControlState::Fenced => self.fence(broker, ChangeReason::BrokerFenced(broker)),
                ControlState::ShutdownNow => self.fence(broker, ChangeReason::ControlledShutdown(broker)),
                ControlState::Unfenced => self.unfence(broker),
                ControlState::ControlledShutdown => self.enter_controlled_shutdown(broker),
            }
        }
        heartbeats.touch(broker, next.is_fenced(), Some(request.metadata_offset));
        if request.directory_offline {
            self.directory_offline(broker);
        }
        let state = HeartbeatState {
            caught_up: request.metadata_offset >= registered_at,
            fenced: next.is_fenced(),
            should_shut_down: next == ControlState::ShutdownNow,
        };
        Ok((state, next))
    }

    /// Fences at most one broker whose session expired (`maybeFenceOneStaleBroker`). True if a session was
    /// forgotten, so that there may be more. `rank` says which of several.
    pub(super) fn fence_one_stale_broker(
        &mut self,
        heartbeats: &mut Heartbeats,
        now: Time,
        rank: impl FnMut(BrokerIdentity) -> u64,
    ) -> bool {
        let Some(expired) = heartbeats.remove_expired(now, rank) else {
            return false;
        };
        // A session of a former process has no meaning any more.
        if self
            .state
            .check_broker_epoch(expired.broker, expired.epoch)
            .is_ok()
        {
            self.fence(expired.broker, ChangeReason::BrokerFenced(expired.broker));
            heartbeats.fence(expired.broker);
        }
        true
    }

    /// Gives a broker the next block of producer ids: the first and how many
    /// (`ProducerIdControlManager.generateNextProducerId`).
    ///
    /// # Errors
    /// STALE_BROKER_EPOCH if this is not the registered process.
    pub(super) fn allocate_producer_ids(&mut self, asker: BrokerIdentity) -> Result<(u64, u32), ErrorCode> {
        self.state.check_broker_epoch(asker.broker, asker.epoch)?;
        let first = self.state.image.next_producer_id();
        self.records.push(MetadataRecord::ProducerIds {
            broker: asker.broker,
            epoch: asker.epoch,
            next: first + u64::from(PRODUCER_ID_BLOCK),
        });
        Ok((first, PRODUCER_ID_BLOCK))
    }
}

#[cfg(test)]
mod tests;
