//! Who is alive: the soft state of the active controller (`BrokerHeartbeatManager`, `BrokerHeartbeatTracker`).
//!
//! | state | request | next |
//! |---|---|---|
//! | FENCED | wants to shut down | SHUTDOWN_NOW |
//! | | wants no fence, has applied its registration record | UNFENCED |
//! | | else | FENCED |
//! | UNFENCED | wants fence (and to shut down) | FENCED (SHUTDOWN_NOW) |
//! | | wants to shut down | CONTROLLED_SHUTDOWN if it leads anything, else SHUTDOWN_NOW |
//! | CONTROLLED_SHUTDOWN | any | SHUTDOWN_NOW once it leads nothing and every active broker has applied its controlled shutdown offset |
//!
//! Sessions are timed on the monotonic clock. A contact is noted before the request waits for its turn, so an
//! overloaded controller fences nobody.

use ktrial_sim::{Duration, Time};

use crate::ids::{BrokerEpoch, Offset, ServerId};
use crate::metadata::MetadataImage;
use crate::protocol::{BrokerHeartbeatRequest, BrokerIdentity};

/// What the controller makes of a broker (`BrokerControlState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ControlState {
    Fenced,
    Unfenced,
    ControlledShutdown,
    ShutdownNow,
}

impl ControlState {
    pub(super) fn is_fenced(self) -> bool {
        matches!(self, ControlState::Fenced | ControlState::ShutdownNow)
    }
}

#[derive(Clone, Copy, Debug)]
struct Broker {
    id: ServerId,
    fenced: bool,
    /// What it last said it had applied; unknown after each record about it.
    metadata_offset: Option<Offset>,
    /// Where its leaderships had been moved, if it is shutting down.
    controlled_shutdown_offset: Option<Offset>,
}

#[derive(Clone, Copy, Debug)]
struct Contact {
    identity: BrokerIdentity,
    at: Time,
}

/// A broker on which replicas can be placed (`UsableBroker`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsableBroker {
    pub(super) id: ServerId,
    pub(super) rack: Option<u16>,
    pub(super) fenced: bool,
}

/// The brokers and sessions an active controller watches.
#[derive(Clone, Debug)]
pub(super) struct Heartbeats {
    session_timeout: Duration,
    /// In order of their id.
    brokers: Vec<Broker>,
    /// In order of broker and epoch.
    contacts: Vec<Contact>,
}

impl Heartbeats {
    /// What a new active controller starts with: all registered brokers, and a full session for each that is
    /// unfenced, also for one that is dead by now (KAFKA-18138).
    pub(super) fn activate(image: &MetadataImage, session_timeout: Duration, now: Time) -> Self {
        let mut heartbeats = Heartbeats {
            session_timeout,
            brokers: Vec::new(),
            contacts: Vec::new(),
        };
        for (broker, registration) in image.brokers() {
            heartbeats.register(broker, registration.fenced);
            if !registration.fenced {
                heartbeats.note_contact(identity(broker, registration.epoch), now);
            }
        }
        heartbeats
    }

    fn find(&mut self, broker: ServerId) -> &mut Broker {
        let index = self.brokers.binary_search_by_key(&broker, |entry| entry.id);
        &mut self.brokers[index.expect("only registered brokers are watched")]
    }

    /// A broker was heard of.
    pub(super) fn note_contact(&mut self, identity: BrokerIdentity, now: Time) {
        let key = (identity.broker, identity.epoch);
        let found = self
            .contacts
            .binary_search_by_key(&key, |entry| (entry.identity.broker, entry.identity.epoch));
        match found {
            Ok(index) => self.contacts[index].at = now,
            Err(index) => self.contacts.insert(index, Contact { identity, at: now }),
        }
    }

    fn is_expired(&self, contact: &Contact, now: Time) -> bool {
        contact.at + self.session_timeout < now
    }

    /// Whether a broker's process is held to be alive.
    pub(super) fn has_valid_session(&self, broker: ServerId, epoch: BrokerEpoch, now: Time) -> bool {
        let mut contacts = self.contacts.iter();
        contacts.any(|contact| contact.identity == identity(broker, epoch) && !self.is_expired(contact, now))
    }

    /// Forgets at most one expired session and says whose it was: of several the first by `rank`. Kafka takes the first
    /// that a hash map of brokers and epochs shows it (`BrokerHeartbeatTracker.maybeRemoveExpired`).
    pub(super) fn remove_expired(
        &mut self,
        now: Time,
        mut rank: impl FnMut(BrokerIdentity) -> u64,
    ) -> Option<BrokerIdentity> {
        let of_each = 0..self.contacts.len();
        let expired = of_each.filter(|place| self.is_expired(&self.contacts[*place], now));
        let first = expired.min_by_key(|place| rank(self.contacts[*place].identity))?;
        Some(self.contacts.remove(first).identity)
    }

    /// After this time, and not at it, the first session expires.
    pub(super) fn earliest_expiry(&self) -> Option<Time> {
        let contacts = self.contacts.iter();
        contacts.map(|contact| contact.at + self.session_timeout).min()
    }

    /// A record about a broker was applied. Its metadata offset becomes unknown unless the record made its
    /// fencing fit (`BrokerHeartbeatManager.register`).
    pub(super) fn register(&mut self, broker: ServerId, fenced: bool) {
        let mut metadata_offset = None;
        match self.brokers.binary_search_by_key(&broker, |entry| entry.id) {
            Ok(index) if self.brokers[index].fenced != fenced => {
                metadata_offset = self.brokers[index].metadata_offset;
            }
            Ok(_) => {}
            Err(index) => self.brokers.insert(
                index,
                Broker {
                    id: broker,
                    fenced,
                    metadata_offset: None,
                    controlled_shutdown_offset: None,
                },
            ),
        }
        self.touch(broker, fenced, metadata_offset);
    }

    /// Forgets a broker, not its sessions.
    pub(super) fn remove(&mut self, broker: ServerId) {
        self.brokers.retain(|entry| entry.id != broker);
    }

    /// What a heartbeat says. A fenced broker has left its controlled shutdown: its next heartbeat ends it.
    pub(super) fn touch(&mut self, broker: ServerId, fenced: bool, metadata_offset: Option<Offset>) {
        let entry = self.find(broker);
        entry.fenced = fenced;
        entry.metadata_offset = metadata_offset;
        if fenced {
            entry.controlled_shutdown_offset = None;
        }
    }

    /// The session of a broker ended.
    pub(super) fn fence(&mut self, broker: ServerId) {
        self.find(broker).fenced = true;
    }

    /// A broker's leaderships have been moved by the records up to `offset`. Counts the first time only.
    pub(super) fn enter_controlled_shutdown(&mut self, broker: ServerId, offset: Offset) {
        let entry = self.find(broker);
        assert!(!entry.fenced, "fenced brokers cannot enter controlled shutdown");
        entry.controlled_shutdown_offset.get_or_insert(offset);
    }

    /// Whether every broker that is unfenced and stays has applied `offset`.
    fn is_applied_everywhere(&self, offset: Offset) -> bool {
        let mut active = self
            .brokers
            .iter()
            .filter(|entry| !entry.fenced && entry.controlled_shutdown_offset.is_none());
        active.all(|entry| entry.metadata_offset >= Some(offset))
    }

    /// The state a broker is in and the one its heartbeat leads to.
    pub(super) fn next_state(
        &self,
        request: &BrokerHeartbeatRequest,
        registered_at: Offset,
        has_leaderships: impl Fn() -> bool,
    ) -> (ControlState, ControlState) {
        use ControlState::*;
        let id = request.identity.broker;
        let index = self.brokers.binary_search_by_key(&id, |entry| entry.id);
        let entry = &self.brokers[index.expect("only registered brokers are watched")];
        if let Some(moved) = entry.controlled_shutdown_offset {
            let done = !has_leaderships() && self.is_applied_everywhere(moved);
            let next = if done { ShutdownNow } else { ControlledShutdown };
            return (ControlledShutdown, next);
        }
        let (fence, shut_down) = (request.want_fence, request.want_shut_down);
        if entry.fenced {
            let next = match (shut_down, fence) {
                (true, _) => ShutdownNow,
                (false, false) if request.metadata_offset >= registered_at => Unfenced,
                (false, _) => Fenced,
            };
            return (Fenced, next);
        }
        let next = match (fence, shut_down) {
            (true, true) => ShutdownNow,
            (true, false) => Fenced,
            (false, true) if has_leaderships() => ControlledShutdown,
            (false, true) => ShutdownNow,
            (false, false) => Unfenced,
        };
        (Unfenced, next)
    }

    /// Brokers on which replicas can be placed: registered, not shutting down, as far as this controller was
    /// told by heartbeats.
    pub(super) fn usable_brokers<'a>(
        &'a self,
        image: &'a MetadataImage,
    ) -> impl Iterator<Item = UsableBroker> + 'a {
        let staying = self
            .brokers
            .iter()
            .filter(|entry| entry.controlled_shutdown_offset.is_none());
        staying.map(|entry| UsableBroker {
            id: entry.id,
            rack: image.broker(entry.id).and_then(|registration| registration.rack),
            fenced: entry.fenced,
        })
    }
}

fn identity(broker: ServerId, epoch: BrokerEpoch) -> BrokerIdentity {
    BrokerIdentity { broker, epoch }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_sessions_that_are_over_the_first_by_rank_is_found_first() {
        let mut heartbeats = Heartbeats::activate(&MetadataImage::default(), Duration::secs(9), Time(0));
        for broker in 1..=3 {
            heartbeats.note_contact(identity(ServerId(broker), BrokerEpoch(7)), Time(0));
        }
        let alive = identity(ServerId(3), BrokerEpoch(7));
        heartbeats.note_contact(alive, Time(5));
        let mut found = Vec::new();
        let over = Time(0) + Duration::secs(9) + Duration(1);
        while let Some(expired) =
            heartbeats.remove_expired(over, |expired| u64::MAX - u64::from(expired.broker.0))
        {
            found.push(expired.broker);
        }
        assert_eq!(found, [ServerId(2), ServerId(1)]);
        assert!(heartbeats.has_valid_session(alive.broker, alive.epoch, over));
    }
}
