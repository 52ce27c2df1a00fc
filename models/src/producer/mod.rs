//! A Java producer of 4.3 and the application above it.

use std::sync::Arc;

use ktrial_sim::{Context, Input};

use crate::kafka::Kafka;
use crate::specification::{ClusterSpecification, ProducerSpecification};

/// A producer's process.
pub struct Producer {
    cluster: Arc<ClusterSpecification>,
    specification: ProducerSpecification,
}

impl Producer {
    /// A producer that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>, specification: ProducerSpecification) -> Self {
        Producer {
            cluster,
            specification,
        }
    }

    /// The process starts.
    pub fn boot(&mut self, _context: &mut Context<'_, Kafka>) {
        let _ = (&self.cluster, &self.specification);
    }

    /// Works through one input.
    pub fn handle(&mut self, _input: Input<Kafka>, _context: &mut Context<'_, Kafka>) {}
}
