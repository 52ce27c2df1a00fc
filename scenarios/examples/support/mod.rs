//! What Linux says of this process. Elsewhere nobody says it.

#![allow(dead_code, reason = "each example uses a part")]

use std::sync::Arc;

use ktrial_models::config::ConfigError;
use ktrial_scenarios::{Overrides, Resolved, Scenario, Source};

/// Linux counts processor time in hundredths of a second (`USER_HZ`).
pub const TICKS_PER_SECOND: u64 = 100;

/// User and system time of this process in clock ticks.
pub fn processor_ticks() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name, in parentheses, may hold blanks; the fields behind it do not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// The most memory this process ever held, in kilobytes.
pub fn peak_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A scenario (a file, or @NAME) with settings, ready for trials.
pub fn resolve(source: &str, assignments: &[String]) -> Result<(Scenario, Arc<Resolved>), String> {
    let source = Source::parse(source).map_err(|error| error.to_string())?;
    let told = |errors: Vec<ConfigError>| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    let scenario = source.read(&Overrides::default()).map_err(told)?;
    let resolved = scenario.arm(assignments).map_err(told)?.resolved;
    Ok((scenario, resolved))
}
