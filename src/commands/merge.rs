//! `ktrial merge`: the parts of a sweep as one.

use ktrial_scenarios::{ArmSummary, Journal, MergeError, Parts, Tally};

use crate::arguments::MergeArguments;
use crate::commands::sweep::conclude;
use crate::exit::{Failure, Outcome};

/// Runs the command.
pub fn run(arguments: &MergeArguments) -> Outcome {
    let mut parts = Parts::open(&arguments.parts)?;
    let header = parts.header().clone();
    let mut journal = Journal::open(&arguments.output, &header, false, |_| {})?;
    let summary = match write(&mut parts, &mut journal) {
        Ok(summary) => summary,
        Err(failure) => {
            // Nothing may stay that looks like a whole.
            journal.discard()?;
            return Err(failure);
        }
    };
    journal.finish()?;
    conclude(
        &header,
        summary,
        Vec::new(),
        None,
        &arguments.output,
        arguments.format,
    )
}

fn write(parts: &mut Parts, journal: &mut Journal) -> Result<ArmSummary, Failure> {
    let mut tally = Tally::default();
    while let Some(line) = parts.trial()? {
        tally.add(&line);
        journal.trial(&line)?;
    }
    Ok(tally.finish(None))
}

impl From<MergeError> for Failure {
    fn from(error: MergeError) -> Self {
        Failure::Output(error.to_string())
    }
}
