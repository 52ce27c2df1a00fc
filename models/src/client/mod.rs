//! What Java clients have in common: `NetworkClient`, `Metadata`, back-off.
