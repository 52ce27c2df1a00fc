//! Feature levels: what a cluster has finalized, whatever its binaries could do.
//!
//! Sources: the feature enums of `org.apache.kafka.server.common`, `Feature.validateVersion`,
//! `Formatter.calculateEffectiveFeatureLevels`.

use std::fmt;

use super::nearest::nearest;
use super::problem::ConfigError;

/// A level of `metadata.version`; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetadataVersion(u8);

/// The production levels that 4.3 knows, from feature level 7 on (`MetadataVersion`).
const METADATA_VERSIONS: [&str; 24] = [
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0",
    "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2",
    "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0",
];

/// The feature level of the first of them.
const FIRST_LEVEL: u8 = 7;

impl MetadataVersion {
    /// The latest one for production.
    pub const LATEST: MetadataVersion = MetadataVersion(FIRST_LEVEL + METADATA_VERSIONS.len() as u8 - 1);

    /// Reads a level such as `4.1-IV0`, a release such as `4.1` or `4.1.2` (the latest level of it), or a
    /// bare feature level such as `26`.
    pub fn parse(text: &str) -> Option<MetadataVersion> {
        if let Ok(level) = text.parse::<u8>() {
            let version = MetadataVersion(level);
            return (level >= FIRST_LEVEL && version <= MetadataVersion::LATEST).then_some(version);
        }
        let release = text.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let of_release = |name: &str| name.split_once('-').is_some_and(|(known, _)| known == release);
        let at = METADATA_VERSIONS
            .iter()
            .position(|name| *name == text)
            .or_else(|| METADATA_VERSIONS.iter().rposition(|name| of_release(name)))?;
        Some(MetadataVersion(FIRST_LEVEL + at as u8))
    }

    /// The number that the feature record holds.
    pub fn feature_level(self) -> u8 {
        self.0
    }
}

impl fmt::Display for MetadataVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(METADATA_VERSIONS[usize::from(self.0 - FIRST_LEVEL)])
    }
}

/// The finalized levels of a cluster of 4.3 binaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// `metadata.version`.
    pub metadata_version: MetadataVersion,
    /// `transaction.version`: 2 is KIP-890's second part.
    pub transaction_version: u8,
    /// `group.version`: 1 is KIP-848.
    pub group_version: u8,
    /// `eligible.leader.replicas.version`: 1 is KIP-966.
    pub eligible_leader_replicas_version: u8,
    /// `share.version`: 1 is KIP-932.
    pub share_version: u8,
    /// `streams.version`: 1 is KIP-1071.
    pub streams_version: u8,
    /// `kraft.version`: 1 is KIP-853.
    pub kraft_version: u8,
}

/// A feature beside `metadata.version`.
struct Feature {
    name: &'static str,
    field: fn(&mut Features) -> &mut u8,
    /// For each level from 1 on: the metadata version from which a new cluster has it.
    default_from: &'static [&'static str],
    /// For each level from 1 on: the metadata version it depends on.
    needs: &'static [&'static str],
}

const FEATURES: [Feature; 6] = [
    Feature {
        name: "eligible.leader.replicas.version",
        field: |features| &mut features.eligible_leader_replicas_version,
        default_from: &["4.1-IV0"],
        needs: &["4.0-IV1"],
    },
    Feature {
        name: "group.version",
        field: |features| &mut features.group_version,
        default_from: &["4.0-IV0"],
        needs: &["3.3-IV3"],
    },
    Feature {
        name: "kraft.version",
        field: |features| &mut features.kraft_version,
        default_from: &["3.9-IV0"],
        needs: &["3.3-IV3"],
    },
    Feature {
        name: "share.version",
        field: |features| &mut features.share_version,
        default_from: &["4.2-IV0"],
        needs: &["3.3-IV3"],
    },
    Feature {
        name: "streams.version",
        field: |features| &mut features.streams_version,
        default_from: &["4.2-IV1"],
        needs: &["3.3-IV3"],
    },
    Feature {
        name: "transaction.version",
        field: |features| &mut features.transaction_version,
        default_from: &["4.0-IV2", "4.0-IV2"],
        needs: &["3.3-IV3", "3.3-IV3"],
    },
];

/// The name of the one feature that is no plain number.
pub(super) const METADATA_VERSION: &str = "metadata.version";

/// From this `metadata.version` on servers act alike. Before 3.5-IV1 fetches tell no broker epoch (KIP-903), before 3.6-IV0
/// each smaller ISR has a leader epoch of its own (`PartitionChangeBuilder`), before 3.7-IV2 log directories count as
/// online unasked, before 4.1-IV1 followers of the metadata log wait for the high watermark (KIP-1166).
pub(super) const ALIKE_FROM: &str = "4.1-IV1";

fn version(text: &str) -> MetadataVersion {
    MetadataVersion::parse(text).expect("a level of ours")
}

impl Features {
    /// Whether servers would act otherwise than the models do, because of the `metadata.version`.
    pub(super) fn act_as_before(&self) -> bool {
        self.metadata_version < version(ALIKE_FROM)
    }

    /// What `kafka-storage format --release-version` gives a new cluster whose controllers find each
    /// other by `controller.quorum.bootstrap.servers` (with `controller.quorum.voters`: set
    /// `kraft.version` to 0).
    pub fn new_cluster(metadata_version: MetadataVersion) -> Features {
        let mut features = Features {
            metadata_version,
            transaction_version: 0,
            group_version: 0,
            eligible_leader_replicas_version: 0,
            share_version: 0,
            streams_version: 0,
            kraft_version: 1,
        };
        for feature in FEATURES.iter().filter(|feature| feature.name != "kraft.version") {
            let level = feature
                .default_from
                .iter()
                .filter(|from| version(from) <= metadata_version)
                .count();
            *(feature.field)(&mut features) = level as u8;
        }
        features
    }

    /// A cluster that came from an older release: 4.3 binaries and `metadata.version`, but nobody has
    /// raised the features since.
    pub fn upgraded() -> Features {
        Features {
            metadata_version: MetadataVersion::LATEST,
            transaction_version: 1,
            group_version: 0,
            eligible_leader_replicas_version: 0,
            share_version: 0,
            streams_version: 0,
            kraft_version: 0,
        }
    }

    /// A profile by name: `upgraded`, or the release or metadata version of a new cluster (`4.3`).
    ///
    /// # Errors
    /// No such profile.
    pub fn profile(name: &str) -> Result<Features, ConfigError> {
        if name == "upgraded" {
            return Ok(Features::upgraded());
        }
        MetadataVersion::parse(name)
            .map(Features::new_cluster)
            .ok_or_else(|| {
                ConfigError::anywhere(
                    format!("no feature profile {name}"),
                    format!(
                        "give upgraded, a release up to 4.3, or one of {}",
                        METADATA_VERSIONS.join(", ")
                    ),
                )
            })
    }

    /// Gives one feature another level.
    ///
    /// # Errors
    /// A feature or level that 4.3 does not know.
    pub fn set(&mut self, name: &str, level: &str) -> Result<(), ConfigError> {
        if name == METADATA_VERSION {
            self.metadata_version = MetadataVersion::parse(level).ok_or_else(|| {
                ConfigError::anywhere(
                    format!("no production level {level} of metadata.version"),
                    format!("give one of {}", METADATA_VERSIONS.join(", ")),
                )
            })?;
            return Ok(());
        }
        let Some(feature) = FEATURES.iter().find(|feature| feature.name == name) else {
            let names = || {
                FEATURES
                    .iter()
                    .map(|feature| feature.name)
                    .chain([METADATA_VERSION])
            };
            let remedy = match nearest(name, names()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("give one of {}", names().collect::<Vec<_>>().join(", ")),
            };
            return Err(ConfigError::anywhere(format!("no feature {name} in 4.3"), remedy));
        };
        let most = feature.needs.len() as u8;
        match level.parse::<u8>() {
            Ok(level) if level <= most => {
                *(feature.field)(self) = level;
                Ok(())
            }
            _ => Err(ConfigError::anywhere(
                format!("no level {level} of {name} in 4.3"),
                format!("give 0 to {most}"),
            )),
        }
    }

    /// Name and level of each feature, sorted by name.
    pub fn levels(&self) -> Vec<(&'static str, String)> {
        let mut copy = *self;
        let mut levels: Vec<_> = FEATURES
            .iter()
            .map(|feature| (feature.name, (feature.field)(&mut copy).to_string()))
            .chain([(METADATA_VERSION, self.metadata_version.to_string())])
            .collect();
        levels.sort();
        levels
    }

    /// Reasons for which Kafka refuses this combination (`Feature.validateVersion`), by feature.
    pub fn contradictions(&self) -> Vec<String> {
        let mut copy = *self;
        let mut reasons = Vec::new();
        for feature in &FEATURES {
            let level = *(feature.field)(&mut copy);
            for needs in &feature.needs[..usize::from(level).min(feature.needs.len())] {
                if self.metadata_version < version(needs) {
                    reasons.push(format!(
                        "{} could not be set to {level} because it depends on metadata.version level {} ({needs})",
                        feature.name,
                        version(needs).feature_level()
                    ));
                }
            }
        }
        reasons
    }

    /// Whether eligible leader replicas are on (KIP-966).
    pub fn eligible_leader_replicas(&self) -> bool {
        self.eligible_leader_replicas_version > 0
    }
}

impl Default for Features {
    /// A new cluster of 4.3.
    fn default() -> Self {
        Features::new_cluster(MetadataVersion::LATEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cluster_has_the_defaults_of_its_metadata_version() {
        let new = Features::default();
        assert_eq!(new.metadata_version.to_string(), "4.3-IV0");
        assert_eq!(new.metadata_version.feature_level(), 30);
        let levels = [
            new.transaction_version,
            new.group_version,
            new.eligible_leader_replicas_version,
        ];
        assert_eq!(levels, [2, 1, 1]);
        assert_eq!(
            [new.share_version, new.streams_version, new.kraft_version],
            [1, 1, 1]
        );
        let of_4_0 = Features::profile("4.0").expect("a release");
        assert_eq!(of_4_0.metadata_version.to_string(), "4.0-IV3");
        assert_eq!(
            (
                of_4_0.transaction_version,
                of_4_0.eligible_leader_replicas_version
            ),
            (2, 0)
        );
        assert_eq!(
            Features::profile("3.9").map(|features| features.transaction_version),
            Ok(0)
        );
    }

    #[test]
    fn an_upgraded_cluster_has_no_eligible_leader_replicas() {
        let upgraded = Features::profile("upgraded").expect("a profile");
        assert!(!upgraded.eligible_leader_replicas());
        assert_eq!(upgraded.metadata_version, MetadataVersion::LATEST);
        assert!(upgraded.contradictions().is_empty());
    }

    #[test]
    fn eligible_leader_replicas_need_metadata_version_4_0_iv1() {
        let mut features = Features::profile("4.0-IV0").expect("a level");
        features
            .set("eligible.leader.replicas.version", "1")
            .expect("a level");
        assert_eq!(features.contradictions().len(), 1);
        features.set("metadata.version", "4.0-IV1").expect("a level");
        assert!(features.contradictions().is_empty());
    }

    #[test]
    fn unknown_features_and_levels_are_errors_with_a_remedy() {
        let mut features = Features::default();
        let error = features
            .set("transactions.version", "1")
            .expect_err("no such feature");
        assert_eq!(error.remedy, "did you mean transaction.version?");
        assert!(features.set("kraft.version", "2").is_err());
        assert!(features.set("metadata.version", "4.4-IV0").is_err());
        assert!(Features::profile("5.0").is_err());
        assert!(Features::profile("").is_err());
    }
}
