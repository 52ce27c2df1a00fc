//! The settings that all Java clients share.

use ktrial_sim::Duration;

use super::ExponentialBackoff;
use crate::config::{MetadataRecoveryStrategy, ProducerSettings, ReaderSettings};
use crate::socket;

/// What `NetworkClient` and `Metadata` run with (`CommonClientConfigs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// From writing a request to its answer.
    pub request_timeout: Duration,
    /// `retry.backoff.ms`, without jitter.
    pub retry_backoff: Duration,
    /// Between two updates of metadata.
    pub metadata_backoff: ExponentialBackoff,
    /// `reconnect.backoff.ms`, without jitter.
    pub reconnect_backoff: Duration,
    /// Between two connections to a node.
    pub reconnect: ExponentialBackoff,
    /// For setting up a connection.
    pub setup: ExponentialBackoff,
    /// Idle connections are closed after this.
    pub max_idle: Option<Duration>,
    /// Metadata are asked for after this.
    pub metadata_max_age: Duration,
    /// Whether it starts again from the bootstrap servers (KIP-899, KIP-1102).
    pub rebootstrap: bool,
    /// After how long without metadata.
    pub rebootstrap_trigger: Duration,
    /// Unanswered requests per connection.
    pub max_in_flight: usize,
    /// How many bytes a socket takes that the server's machine has not acknowledged. None: whatever is written.
    pub send_buffer: Option<u64>,
}

/// What producers and consumers configure by the same names (`CommonClientConfigs`).
macro_rules! common_settings {
    ($settings:expr, $max_in_flight:expr) => {
        ClientSettings {
            request_timeout: $settings.request_timeout_ms,
            retry_backoff: $settings.retry_backoff_ms,
            metadata_backoff: ExponentialBackoff::new(
                $settings.retry_backoff_ms,
                $settings.retry_backoff_max_ms,
            ),
            reconnect_backoff: $settings.reconnect_backoff_ms,
            reconnect: ExponentialBackoff::new(
                $settings.reconnect_backoff_ms,
                $settings.reconnect_backoff_max_ms,
            ),
            setup: ExponentialBackoff::new(
                $settings.socket_connection_setup_timeout_ms,
                $settings.socket_connection_setup_timeout_max_ms,
            ),
            max_idle: $settings.connections_max_idle_ms,
            metadata_max_age: $settings.metadata_max_age_ms,
            rebootstrap: $settings.metadata_recovery_strategy == MetadataRecoveryStrategy::Rebootstrap,
            rebootstrap_trigger: $settings.metadata_recovery_rebootstrap_trigger_ms,
            max_in_flight: $max_in_flight,
            send_buffer: None,
        }
    };
}

/// `ConsumerUtils.CONSUMER_MAX_INFLIGHT_REQUESTS_PER_CONNECTION`.
const CONSUMER_MAX_IN_FLIGHT: usize = 100;

impl From<&ProducerSettings> for ClientSettings {
    fn from(settings: &ProducerSettings) -> Self {
        let common = common_settings!(settings, settings.max_in_flight_requests_per_connection as usize);
        ClientSettings {
            send_buffer: Some(socket::send_buffer(settings.send_buffer_bytes)),
            ..common
        }
    }
}

impl From<&ReaderSettings> for ClientSettings {
    fn from(settings: &ReaderSettings) -> Self {
        common_settings!(settings, CONSUMER_MAX_IN_FLIGHT)
    }
}

impl Default for ClientSettings {
    /// An admin client's defaults (`AdminClientConfig`, `KafkaAdminClient`).
    fn default() -> Self {
        ClientSettings {
            request_timeout: Duration::secs(30),
            retry_backoff: Duration::millis(100),
            metadata_backoff: ExponentialBackoff::new(Duration::millis(100), Duration::secs(1)),
            reconnect_backoff: Duration::millis(50),
            reconnect: ExponentialBackoff::new(Duration::millis(50), Duration::secs(1)),
            setup: ExponentialBackoff::new(Duration::secs(10), Duration::secs(30)),
            max_idle: Some(Duration::secs(300)),
            metadata_max_age: Duration::secs(300),
            rebootstrap: true,
            rebootstrap_trigger: Duration::secs(300),
            max_in_flight: 1,
            send_buffer: None,
        }
    }
}
