//! Requests, responses and error codes: what servers and clients say to each other.

mod boxes;
mod channel;
mod error;
mod groups;
mod message;
mod requests;
mod responses;

pub use boxes::Boxes;
pub use channel::{Channel, ChannelSettings, Lost};
pub use error::ErrorCode;
pub use groups::*;
pub use message::{Correlation, Message, api};
pub use requests::*;
pub use responses::*;

use ktrial_sim::Port;

/// The listener of brokers: clients and follower fetches.
pub const BROKER_PORT: Port = Port(0);
/// The listener of controllers: the quorum, and brokers' requests to the active controller.
pub const CONTROLLER_PORT: Port = Port(1);
