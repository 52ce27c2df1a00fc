//! `ktrial schema`: the JSON Schemas of what ktrial reads and writes.

use crate::arguments::{Described, SchemaArguments};
use crate::commands::print;
use crate::exit::{Exit, Outcome};

/// The schema of scenarios.
pub const SCENARIO: &str = include_str!("../../schemas/scenario.schema.json");

/// Prints one.
pub fn run(arguments: &SchemaArguments) -> Outcome {
    print(match arguments.of {
        Described::Scenario => SCENARIO,
        Described::Profiles => include_str!("../../schemas/profiles.schema.json"),
        Described::Results => include_str!("../../schemas/results.schema.json"),
        Described::Compare => include_str!("../../schemas/compare.schema.json"),
        Described::Run => include_str!("../../schemas/run.schema.json"),
        Described::Test => include_str!("../../schemas/test.schema.json"),
        Described::Agree => include_str!("../../schemas/agree.schema.json"),
    });
    Ok(Exit::Held)
}
