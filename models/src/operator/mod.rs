//! Who creates the topics and starts elections: an admin client and the person at it.

use std::sync::Arc;

use ktrial_sim::{Context, Input};

use crate::kafka::Kafka;
use crate::specification::ClusterSpecification;

/// An operator's process.
pub struct Operator {
    cluster: Arc<ClusterSpecification>,
}

impl Operator {
    /// An operator that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>) -> Self {
        Operator { cluster }
    }

    /// The process starts: all topics of the specification are to be created.
    pub fn boot(&mut self, _context: &mut Context<'_, Kafka>) {
        let _ = &self.cluster;
    }

    /// Works through one input.
    pub fn handle(&mut self, _input: Input<Kafka>, _context: &mut Context<'_, Kafka>) {}
}
