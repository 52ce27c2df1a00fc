//! Consumers of groups in a scenario file: what a declaration says of them, and what arms say otherwise.

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::file::{SettingsMap, Text};

/// What consumers do stands in declarations and, where it differs, in arms: its keys are listed once, with the type of
/// their values.
macro_rules! conduct {
    ($($key:ident: $value:ty,)*) => {
        /// Consumers of a group that do the same.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct ConsumerFile {
            pub(crate) group: Text,
            pub(crate) topics: Vec<Text>,
            pub(crate) client: Option<Text>,
            pub(crate) rack: Option<Text>,
            pub(crate) dead_letter: Option<Text>,
            #[serde(default)]
            pub(crate) producer: SettingsMap,
            #[serde(default)]
            pub(crate) settings: SettingsMap,
            $($key: Option<$value>,)*
        }

        /// What consumers do: how many there are, when they start, and the application above each of them.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct ConductFile {
            $(pub(crate) $key: Option<$value>,)*
        }

        impl ConductFile {
            /// How many keys it has.
            pub(crate) fn keys(&self) -> usize {
                [$(self.$key.is_some()),*].into_iter().filter(|given| *given).count()
            }

            /// What it says comes first, then what the declaration of consumers says.
            pub(crate) fn over(&self, declared: &ConsumerFile) -> ConductFile {
                ConductFile {
                    $($key: self.$key.clone().or_else(|| declared.$key.clone()),)*
                }
            }
        }
    };
}

conduct! {
    count: Spanned<u32>,
    running: Spanned<u32>,
    start: Text,
    instance_ids: Text,
    processing: Text,
    commit: Text,
    commit_every: Spanned<u32>,
    on_revoked: Text,
    poll: Text,
    buffer: Spanned<u32>,
    pause: Text,
    given_up: Text,
    delay: Text,
    poison: Text,
    failing: Text,
    on_failure: Text,
    retries: u32,
    backoff: Text,
    restart: Text,
    sink: Text,
    applying: Text,
    fenced: Spanned<bool>,
}
