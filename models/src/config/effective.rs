//! The value that counts for each setting of one file, topic or client, and where it came from.

use std::borrow::Cow;

use super::catalogue::{Fallback, Scope, Setting};
use super::place::Origin;
use super::secrets::HIDDEN;
use super::value::{self, Value};

/// The release whose defaults hold.
pub const RELEASE: &str = "4.3";

/// A setting with the value that counts.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The setting.
    pub setting: &'static Setting,
    /// The value as written; none if it is null.
    pub text: Option<Cow<'static, str>>,
    /// The value parsed.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
    /// Values that lost against this one, the strongest first.
    pub shadowed: Vec<(String, Origin)>,
}

impl Effective {
    fn default_of(setting: &'static Setting) -> Self {
        let (text, value) = match setting.default {
            Fallback::Required | Fallback::Null => (None, Value::Null),
            Fallback::Text(text) => {
                let value = value::parse(setting, text).expect("a test parses every default");
                (Some(Cow::Borrowed(text)), value)
            }
        };
        Effective {
            setting,
            text,
            value,
            origin: Origin::Default { release: RELEASE },
            shadowed: Vec::new(),
        }
    }

    /// The value as reports print it; `null` if there is none. Passwords are hidden, as Kafka hides them.
    pub fn shown(&self) -> &str {
        match &self.text {
            None => "null",
            Some(_) if self.setting.kind == super::catalogue::Kind::Password => HIDDEN,
            Some(text) => value::trim(text),
        }
    }

    /// True if nobody set it, in any way.
    pub fn is_default_origin(&self) -> bool {
        matches!(self.origin, Origin::Default { .. })
    }

    /// True if the value is the one that would hold if nobody set it.
    pub fn is_default_value(&self) -> bool {
        self.value == Effective::default_of(self.setting).value
    }
}

/// All settings of one scope: a broker, a controller, one topic, one producer, one consumer.
#[derive(Clone, Debug)]
pub struct Values {
    /// Whose.
    pub scope: Scope,
    /// The topic or client, if a particular one.
    pub instance: Option<String>,
    entries: Vec<Effective>,
}

impl Values {
    /// What holds if nobody sets anything.
    pub fn defaults(scope: Scope) -> Self {
        let entries = scope.settings().iter().map(Effective::default_of).collect();
        Values {
            scope,
            instance: None,
            entries,
        }
    }

    /// The same values in another role: a process that is broker and controller.
    pub(super) fn as_seen_by(&self, scope: Scope) -> Self {
        Values {
            scope,
            ..self.clone()
        }
    }

    /// Every setting, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Effective> {
        self.entries.iter()
    }

    /// The setting of that name.
    pub fn find(&self, name: &str) -> Option<&Effective> {
        self.scope.index(name).map(|index| &self.entries[index])
    }

    /// A setting that the caller knows to be in the catalogue.
    pub(super) fn get(&self, name: &str) -> &Effective {
        self.find(name)
            .unwrap_or_else(|| unreachable!("no {} setting {name}", self.scope.word()))
    }

    /// A field of a view, named after the setting with `_` for the dots.
    pub(super) fn field(&self, name: &str) -> &Effective {
        self.get(&name.replace('_', "."))
    }

    /// Gives a setting another value; the old one, if a user had set it, is remembered.
    pub(super) fn put(&mut self, name: &str, text: Cow<'static, str>, value: Value, origin: Origin) {
        let index = self.scope.index(name).expect("the caller knows the name");
        let entry = &mut self.entries[index];
        if entry.origin.is_set() {
            let lost = (entry.shown().to_string(), entry.origin.clone());
            entry.shadowed.insert(0, lost);
        }
        entry.text = Some(text);
        entry.value = value;
        entry.origin = origin;
    }

    /// Lets a setting be what it is among these others of the same scope.
    pub(super) fn take_over(&mut self, name: &str, others: &Values) {
        let index = self.scope.index(name).expect("the caller knows the name");
        self.entries[index] = others.entries[index].clone();
    }

    /// As [`Values::put`], for a value that Kafka computes.
    pub(super) fn derive(&mut self, name: &str, text: String, because: &'static str) {
        let setting = self.scope.setting(name).expect("the caller knows the name");
        let value = value::parse(setting, &text).expect("a derived value is valid");
        self.put(name, text.into(), value, Origin::Derived { because });
    }

    /// Says that the scenario gives this setting, whatever was written.
    pub(super) fn replace(&mut self, name: &str, by: &'static str) {
        let index = self.scope.index(name).expect("the caller knows the name");
        let entry = &mut self.entries[index];
        if entry.origin.is_set() {
            let lost = (entry.shown().to_string(), entry.origin.clone());
            entry.shadowed.insert(0, lost);
        }
        entry.origin = Origin::Replaced { by };
    }

    /// True if a user set it.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.get(name).origin.is_set()
    }

    pub(super) fn whole(&self, name: &str) -> i64 {
        self.whole_or_null(name)
            .unwrap_or_else(|| unreachable!("{name} is not a whole number"))
    }

    pub(super) fn whole_or_null(&self, name: &str) -> Option<i64> {
        match self.get(name).value {
            Value::Whole(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        self.get(name).value == Value::Boolean(true)
    }

    pub(super) fn text(&self, name: &str) -> &str {
        match &self.get(name).value {
            Value::Text(text) => text,
            _ => "",
        }
    }
}
