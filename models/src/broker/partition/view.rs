//! What a partition asks the broker's metadata cache.

use crate::ids::{BrokerEpoch, ServerId};

/// A registered broker, as this broker's metadata image has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerState {
    /// The epoch of its registration.
    pub epoch: BrokerEpoch,
    /// Whether it is fenced.
    pub fenced: bool,
    /// Whether it is shutting down.
    pub in_controlled_shutdown: bool,
}

/// The metadata cache (`KRaftMetadataCache`), which may lag behind the controller.
pub trait ClusterView {
    /// A broker's registration; none if it has none.
    fn broker(&self, server: ServerId) -> Option<BrokerState>;

    /// The epoch of this broker's own registration, as its lifecycle manager knows it.
    fn own_epoch(&self) -> Option<BrokerEpoch>;

    /// The epoch of a broker that is registered and not fenced (`getAliveBrokerEpoch`).
    #[inline]
    fn alive_epoch(&self, server: ServerId) -> Option<BrokerEpoch> {
        let broker = self.broker(server)?;
        (!broker.fenced).then_some(broker.epoch)
    }
}
