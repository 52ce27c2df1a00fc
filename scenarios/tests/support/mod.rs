//! Scenarios written in tests.

use std::path::Path;

use ktrial_scenarios::{Arm, Overrides, Scenario};

/// The only arm of the scenario of this text.
pub fn arm(text: &str) -> Arm {
    let scenario = Scenario::read("test.yaml", text, Path::new("."), &Overrides::default());
    let arm = scenario.and_then(|scenario| scenario.arm(&[]));
    arm.unwrap_or_else(|errors| panic!("{errors:?}"))
}
