//! What holds for a single group: its own configuration, then what the brokers' file says for all groups
//! (`GroupConfigManager`).

use std::borrow::Cow;

use super::{ResolvedGroup, Work};
use crate::config::catalogue::Scope;
use crate::config::effective::Values;
use crate::config::refusal;
use crate::config::value;
use crate::config::view::GroupSettings;

impl Work<'_> {
    /// None if the group has no settings of its own.
    pub(super) fn group(&mut self, broker: &Values, name: &str) -> Option<(ResolvedGroup, Values)> {
        let given = self.given(Scope::Group, Some(name));
        if given.is_empty() {
            return None;
        }
        let refused_before = self.findings.refusals.len();
        let own = self.fill(Scope::Group, Some(name), given);
        self.note(&own);
        let mut values = of_all_groups(broker);
        values.instance = Some(name.to_string());
        for entry in own.iter().filter(|entry| entry.origin.is_set()) {
            let text = entry.text.clone().unwrap_or_default();
            values.put(
                entry.setting.name,
                text,
                entry.value.clone(),
                entry.origin.clone(),
            );
        }
        if self.findings.refusals.len() == refused_before {
            refusal::group(&values, broker, &mut self.findings);
        }
        let group = ResolvedGroup {
            name: name.to_string(),
            settings: GroupSettings::from_values(&values, &mut self.errors),
        };
        Some((group, values))
    }
}

/// What the brokers say for all groups: the same names with `group.` before them
/// (`GroupCoordinatorConfig.extractGroupConfigMap`).
fn of_all_groups(broker: &Values) -> Values {
    let mut values = Values::defaults(Scope::Group);
    for setting in Scope::Group.settings() {
        let Some(all) = broker.find(&format!("group.{}", setting.name)) else {
            continue;
        };
        // What a broker would not start with is refused elsewhere.
        if all.origin.is_set()
            && let Ok(value) = value::parse(setting, all.shown())
        {
            let text = Cow::Owned(all.shown().to_string());
            values.put(setting.name, text, value, all.origin.clone());
        }
    }
    values
}
