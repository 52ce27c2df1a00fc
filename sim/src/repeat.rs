//! The double run: the first law as something that can be called.

use crate::digest::Digest;
use crate::kernel::Counters;
use crate::node::Protocol;
use crate::simulation::Simulation;
use crate::time::Time;

/// What two runs of one trial must have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The digest of everything that happened.
    pub digest: Digest,
    /// How much happened.
    pub counters: Counters,
    /// The engine's time at the end.
    pub end: Time,
}

/// A trial that did not repeat itself: it depends on something outside its manifest, or on what ran before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The first run, in a fresh simulation.
    pub first: Footprint,
    /// The second, in a simulation used before, with causes kept.
    pub second: Footprint,
}

impl<P: Protocol> Simulation<P> {
    /// What this run has come to so far.
    pub fn footprint(&self) -> Footprint {
        Footprint {
            digest: self.digest(),
            counters: self.counters(),
            end: self.now(),
        }
    }
}

/// Runs a trial (from its [`Simulation::reset`] to its end) twice: in a fresh simulation without causes, and again
/// in the same one with causes kept.
///
/// # Errors
/// Both footprints, if they differ.
pub fn run_twice<P: Protocol>(mut trial: impl FnMut(&mut Simulation<P>)) -> Result<Footprint, Divergence> {
    let mut simulation = Simulation::default();
    trial(&mut simulation);
    let first = simulation.footprint();
    simulation.trace_causes(true);
    trial(&mut simulation);
    let second = simulation.footprint();
    if first == second {
        Ok(first)
    } else {
        Err(Divergence { first, second })
    }
}
