//! A Java reader of 4.3 and the application above it.

use std::sync::Arc;

use ktrial_sim::{Context, Input};

use crate::kafka::Kafka;
use crate::specification::{ClusterSpecification, ReaderSpecification};

/// A reader's process.
pub struct Reader {
    cluster: Arc<ClusterSpecification>,
    specification: ReaderSpecification,
}

impl Reader {
    /// A reader that has not started.
    pub fn new(cluster: Arc<ClusterSpecification>, specification: ReaderSpecification) -> Self {
        Reader {
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
