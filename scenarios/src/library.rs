//! Scenarios that come with ktrial, by name.

use std::path::{Path, PathBuf};

use ktrial_models::config::{ConfigError, nearest};

use crate::input::read_file;
use crate::scenario::{Overrides, Scenario};

macro_rules! library {
    ($($name:literal),* $(,)?) => {
        /// Names and texts of the built-in scenarios, in the order `ktrial list scenarios` shows them.
        pub const LIBRARY: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../library/", $name, ".yaml"))),)*
        ];
    };
}

library![
    "careful",
    "careful-groups",
    "careful-many",
    "careful-single",
    "claims/C010",
    "claims/C010_spare",
    "claims/C016",
    "claims/C033",
    "claims/C035",
    "claims/C040",
    "claims/C041",
    "claims/C044",
    "claims/C046",
    "claims/C050",
    "claims/C056",
    "claims/C057",
    "claims/C063",
    "claims/C064",
    "claims/C068",
    "claims/C068_first",
    "claims/C070_identity",
    "claims/C087",
    "claims/C089",
    "claims/C094",
    "claims/C098",
    "claims/C099",
    "claims/C100",
    "claims/C101",
    "claims/C102",
    "claims/C103",
    "claims/C104",
    "claims/C105",
    "claims/C106",
    "claims/C107",
    "claims/C108",
    "claims/C109",
    "claims/C110",
    "claims/C111",
    "claims/C111_pause",
    "claims/C112",
    "claims/C113",
    "claims/C114",
    "claims/C115",
    "claims/C116",
    "claims/C117",
    "claims/C119",
    "claims/C119_cooperative",
    "claims/C120",
    "claims/C120_twice",
    "claims/C121",
    "claims/C122",
    "claims/C124",
    "claims/C125",
    "claims/C125_spike",
    "claims/C127",
    "claims/C127_skew",
    "claims/C128",
    "claims/C129",
    "claims/C130",
    "claims/C133",
    "claims/C133_cooperative",
    "claims/C133_eager",
    "claims/C134",
    "claims/C135",
    "claims/C136",
    "claims/C137",
    "claims/C137_acks",
    "claims/H03",
    "claims/H11",
    "claims/H16",
    "claims/H16_power",
    "claims/H19",
    "claims/H20",
    "claims/H20_cooperative",
    "claims/H20_static",
    "leader-loss",
    "t0",
    "real/acks_0_leader_cut_off",
    "real/acks_0_leader_killed",
    "real/acks_1_paused_followers",
    "real/acks_all_paused_followers",
    "real/auto_commit_clients_paused",
    "real/clock_client_forward",
    "real/clock_controller_forward",
    "real/clock_leader_forward",
    "real/clock_leader_forward_retention",
    "real/combined_node_killed",
    "real/consumer_protocol_coordinator_killed",
    "real/controlled_shutdown_of_the_last",
    "real/controllers_without_majority",
    "real/coordinator_writes_before_it_registers",
    "real/delivery_timeout_leader_cut",
    "real/double_failover",
    "real/first_batches_at_a_replaced_leader",
    "real/followers_cut_from_leader",
    "real/group_coordinator_killed",
    "real/idempotent_producer_forgotten",
    "real/last_replica_loses_disk",
    "real/leader_cut_from_controllers",
    "real/leader_paused_acks_1",
    "real/leader_power_off_and_back",
    "real/lost_responses_with_idempotence",
    "real/lost_responses_without_idempotence",
    "real/member_too_slow",
    "real/min_isr_3_one_paused",
    "real/min_isr_refuses",
    "real/operator_elects_unclean",
    "real/power_loss_everywhere",
    "real/power_loss_everywhere_flushed",
    "real/producer_without_an_id",
    "real/quick_restart",
    "real/rack_cut_off",
    "real/refused_writes_overtake",
    "real/rolling_restart",
    "real/single_controller_killed",
    "real/two_disks_lost_in_turn",
    "real/two_replicas_last_in_isr",
    "real/unclean_election",
    "real/zombie_leader",
    "real/zombie_leader_acks_all",
];

/// A scenario as a user names it: `@NAME` for a built-in one, otherwise a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A built-in scenario.
    BuiltIn(&'static str, &'static str),
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Reads what a user wrote.
    ///
    /// # Errors
    /// No built-in scenario of that name.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let Some(name) = text.strip_prefix('@') else {
            return Ok(Source::File(PathBuf::from(text)));
        };
        let known = LIBRARY.iter().find(|(known, _)| *known == name);
        known
            .map(|(name, text)| Source::BuiltIn(name, text))
            .ok_or_else(|| {
                let near = nearest(name, LIBRARY.iter().map(|(name, _)| *name));
                let hint = near.map_or_else(
                    || "see `ktrial list scenarios`".to_owned(),
                    |near| format!("did you mean @{near}?"),
                );
                ConfigError::anywhere(format!("no built-in scenario {name}"), hint)
            })
    }

    /// As a user would name it.
    pub fn shown(&self) -> String {
        match self {
            Source::BuiltIn(name, _) => format!("@{name}"),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// Reads the scenario.
    ///
    /// # Errors
    /// The file cannot be read, or is no scenario.
    pub fn read(&self, overrides: &Overrides) -> Result<Scenario, Vec<ConfigError>> {
        match self {
            Source::BuiltIn(_, text) => Scenario::read(&self.shown(), text, Path::new("."), overrides),
            Source::File(path) => {
                let shown = self.shown();
                let unreadable = |error: std::io::Error| {
                    vec![ConfigError::anywhere(format!("cannot read {shown}: {error}"), "")]
                };
                let bytes = read_file(path).map_err(unreadable)?;
                let text = String::from_utf8(bytes).map_err(|_| {
                    vec![ConfigError::anywhere(
                        format!("{shown} is not UTF-8"),
                        "scenarios are YAML 1.2 in UTF-8",
                    )]
                })?;
                Scenario::read(&shown, &text, path.parent().unwrap_or(Path::new(".")), overrides)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_read_and_resolves() {
        for (name, _) in LIBRARY {
            let source = Source::parse(&format!("@{name}")).unwrap();
            let scenario = source
                .read(&Overrides::default())
                .unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
            assert_eq!(scenario.name, name.rsplit('/').next().unwrap());
            let arm = scenario
                .arm(&[])
                .unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
            assert!(arm.refusals().is_empty(), "{name}: {:?}", arm.refusals());
        }
    }

    #[test]
    fn every_file_of_the_library_is_built_in() {
        fn count(directory: &Path) -> usize {
            let entries = std::fs::read_dir(directory)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            entries
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("library");
        assert_eq!(count(&library), LIBRARY.len());
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        assert!(
            Source::parse("@leader-los")
                .unwrap_err()
                .to_string()
                .contains("did you mean @leader-loss?")
        );
    }
}
