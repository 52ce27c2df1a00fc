//! `ktrial schema`: the JSON Schemas of what ktrial reads and writes.

use crate::arguments::{Described, SchemaArguments};
use crate::commands::print;
use crate::exit::{Exit, Outcome};

/// The schema of scenarios.
pub const SCENARIO: &str = include_str!("../../reports/schemas/scenario.schema.json");

/// Prints one.
pub fn run(arguments: &SchemaArguments) -> Outcome {
    print(match arguments.of {
        Described::Scenario => SCENARIO,
        Described::Profiles => include_str!("../../reports/schemas/profiles.schema.json"),
        Described::Results => include_str!("../../reports/schemas/results.schema.json"),
        Described::Compare => include_str!("../../reports/schemas/compare.schema.json"),
        Described::Run => include_str!("../../reports/schemas/run.schema.json"),
        Described::Test => include_str!("../../reports/schemas/test.schema.json"),
        Described::History => include_str!("../../reports/schemas/history.schema.json"),
        Described::Agree => include_str!("../../reports/schemas/agree.schema.json"),
    })?;
    Ok(Exit::Held)
}
