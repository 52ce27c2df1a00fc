//! As much of JSON Schema (draft 2020-12) as the schemas of this repository use. A keyword it does not know is an
//! error, so nothing is skipped in silence.

use std::collections::BTreeSet;

use regex_lite::Regex;
use serde_json::{Map, Value};

/// A schema, and the properties of it that some value had.
pub struct Schema {
    root: Value,
    seen: BTreeSet<String>,
}

impl Schema {
    pub fn new(text: &str) -> Self {
        let root = serde_json::from_str(text).expect("a schema is JSON");
        Schema {
            root,
            seen: BTreeSet::new(),
        }
    }

    /// What is wrong with a value; nothing if it is valid.
    pub fn errors(&mut self, value: &Value) -> Vec<String> {
        let (errors, seen) = Check { root: &self.root }.value(&self.root, value, "", "");
        if errors.is_empty() {
            self.seen.extend(seen);
        }
        errors
    }

    /// Properties that no valid value had so far, as pointers into the schema.
    pub fn unseen(&self) -> Vec<String> {
        let mut all = BTreeSet::new();
        properties(&self.root, "", &mut all);
        all.difference(&self.seen).cloned().collect()
    }
}

fn properties(schema: &Value, pointer: &str, all: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            for (key, inner) in map {
                if key == "properties" {
                    for name in inner.as_object().expect("properties are an object").keys() {
                        all.insert(format!("{pointer}/properties/{name}"));
                    }
                }
                properties(inner, &format!("{pointer}/{key}"), all);
            }
        }
        Value::Array(list) => {
            for (number, inner) in list.iter().enumerate() {
                properties(inner, &format!("{pointer}/{number}"), all);
            }
        }
        _ => {}
    }
}

struct Check<'a> {
    root: &'a Value,
}

type Checked = (Vec<String>, BTreeSet<String>);

impl Check<'_> {
    /// Checks `value`, which stands `at`, against the schema, which stands at `pointer`.
    fn value(&self, schema: &Value, value: &Value, pointer: &str, at: &str) -> Checked {
        let (mut errors, mut seen) = (Vec::new(), BTreeSet::new());
        let map = schema
            .as_object()
            .unwrap_or_else(|| panic!("{pointer}: {schema} is no schema"));
        let mut take = |(more, also): Checked| {
            errors.extend(more);
            seen.extend(also);
        };
        for (keyword, says) in map {
            let here = format!("{pointer}/{keyword}");
            match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" => {}
                "$ref" => {
                    let target = says
                        .as_str()
                        .and_then(|text| text.strip_prefix('#'))
                        .expect("a reference");
                    let inner = self
                        .root
                        .pointer(target)
                        .unwrap_or_else(|| panic!("{here}: no {target}"));
                    take(self.value(inner, value, target, at));
                }
                "anyOf" | "oneOf" => take(self.some(keyword, says, value, &here, at)),
                "properties" => take(self.properties(says, value, &here, at)),
                "additionalProperties" => take(self.others(map, says, value, &here, at)),
                "patternProperties" => take(self.patterns(says, value, &here, at)),
                "propertyNames" => {
                    for name in value.as_object().into_iter().flat_map(Map::keys) {
                        take(self.value(says, &Value::from(name.as_str()), &here, &format!("{at}/{name}")));
                    }
                }
                "prefixItems" => {
                    let items = value.as_array().into_iter().flatten().enumerate();
                    for ((number, item), says) in items.zip(says.as_array().expect("a list of schemas")) {
                        take(self.value(says, item, &format!("{here}/{number}"), &format!("{at}/{number}")));
                    }
                }
                "items" => {
                    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                        take(self.value(says, item, &here, &format!("{at}/{number}")));
                    }
                }
                _ if !simple(keyword, says, value, &here) => {
                    take((
                        vec![format!("{at}: {value} is not {keyword} {says}")],
                        BTreeSet::new(),
                    ));
                }
                _ => {}
            }
        }
        (errors, seen)
    }

    fn some(&self, keyword: &str, all: &Value, value: &Value, pointer: &str, at: &str) -> Checked {
        let schemas = all.as_array().expect("a list of schemas").iter().enumerate();
        let tried =
            schemas.map(|(number, schema)| self.value(schema, value, &format!("{pointer}/{number}"), at));
        let (good, bad): (Vec<Checked>, Vec<Checked>) = tried.partition(|(errors, _)| errors.is_empty());
        match (keyword, good.len()) {
            ("anyOf", 1..) | ("oneOf", 1) => {
                (Vec::new(), good.into_iter().flat_map(|(_, seen)| seen).collect())
            }
            (_, 0) => (
                bad.into_iter().flat_map(|(errors, _)| errors).collect(),
                BTreeSet::new(),
            ),
            _ => (
                vec![format!("{at}: {value} matches several of oneOf")],
                BTreeSet::new(),
            ),
        }
    }

    fn properties(&self, schemas: &Value, value: &Value, pointer: &str, at: &str) -> Checked {
        let (mut errors, mut seen) = (Vec::new(), BTreeSet::new());
        for (name, inner) in value.as_object().into_iter().flatten() {
            let Some(schema) = schemas.get(name) else { continue };
            let here = format!("{pointer}/{name}");
            let (more, also) = self.value(schema, inner, &here, &format!("{at}/{name}"));
            errors.extend(more);
            seen.extend(also);
            seen.insert(here);
        }
        (errors, seen)
    }

    /// `additionalProperties`.
    fn others(
        &self,
        map: &Map<String, Value>,
        says: &Value,
        value: &Value,
        pointer: &str,
        at: &str,
    ) -> Checked {
        let (mut errors, mut seen) = (Vec::new(), BTreeSet::new());
        let named = |name: &str| map.get("properties").is_some_and(|all| all.get(name).is_some());
        let patterned = |name: &str| {
            let patterns = map.get("patternProperties").and_then(Value::as_object);
            patterns.is_some_and(|all| all.keys().any(|pattern| matches(pattern, name)))
        };
        for (name, inner) in value.as_object().into_iter().flatten() {
            if named(name) || patterned(name) {
                continue;
            }
            if says == &Value::Bool(false) {
                errors.push(format!("{at}: unknown key {name}"));
                continue;
            }
            let (more, also) = self.value(says, inner, pointer, &format!("{at}/{name}"));
            errors.extend(more);
            seen.extend(also);
        }
        (errors, seen)
    }

    fn patterns(&self, schemas: &Value, value: &Value, pointer: &str, at: &str) -> Checked {
        let (mut errors, mut seen) = (Vec::new(), BTreeSet::new());
        for (pattern, schema) in schemas.as_object().expect("patterns are an object") {
            for (name, inner) in value.as_object().into_iter().flatten() {
                if matches(pattern, name) {
                    let (more, also) = self.value(
                        schema,
                        inner,
                        &format!("{pointer}/{pattern}"),
                        &format!("{at}/{name}"),
                    );
                    errors.extend(more);
                    seen.extend(also);
                }
            }
        }
        (errors, seen)
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern)
        .expect("patterns are regular expressions")
        .is_match(text)
}

/// Keywords that look at one value alone. As the standard has it, those of other types let a value pass.
fn simple(keyword: &str, says: &Value, value: &Value, pointer: &str) -> bool {
    let number = || says.as_u64().unwrap_or_else(|| panic!("{pointer}: not a number")) as usize;
    match keyword {
        "type" => match says {
            Value::Array(any) => any.iter().any(|one| is(one, value)),
            one => is(one, value),
        },
        "const" => says == value,
        "enum" => says.as_array().expect("a list").contains(value),
        "minimum" => value.as_f64().is_none_or(|value| Some(value) >= says.as_f64()),
        "maximum" => value.as_f64().is_none_or(|value| Some(value) <= says.as_f64()),
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= number()),
        "pattern" => value
            .as_str()
            .is_none_or(|text| matches(says.as_str().expect("text"), text)),
        "minItems" => value.as_array().is_none_or(|items| items.len() >= number()),
        "maxItems" => value.as_array().is_none_or(|items| items.len() <= number()),
        "minProperties" => value.as_object().is_none_or(|map| map.len() >= number()),
        "required" => value.as_object().is_none_or(|map| {
            let mut names = says.as_array().expect("a list").iter();
            names.all(|name| map.contains_key(name.as_str().expect("a key")))
        }),
        _ => panic!("{pointer}: a keyword this does not know"),
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type's name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("no type {other}"),
    }
}
