//! Typed values of the operation model as trees of the semantic device interface, by way of their names.

use proto::tree::Tree as Wire;
use proto::{Tree, TreeEntry, TreeList, TreeMap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::semantic::SemanticError;

/// How deep a tree may be.
const DEPTH_MAX: usize = 16;

/// The tree of a value.
pub(crate) fn of<T: Serialize>(value: &T) -> Tree {
    // Every type of the operation model has names for all it holds; numbers of it fit 64 bits with sign or are read
    // back from text.
    of_json(&serde_json::to_value(value).unwrap_or(Json::Null))
}

/// The value of a tree.
///
/// # Errors
/// [`SemanticError::Shape`] when the tree is not exactly one, [`SemanticError::TooLarge`] when it is too deep.
pub(crate) fn read<T: DeserializeOwned>(tree: &Tree, what: &'static str) -> Result<T, SemanticError> {
    serde_json::from_value(to_json(tree, 0, what)?).map_err(|error| SemanticError::Shape {
        what,
        problem: error.to_string().chars().take(200).collect(),
    })
}

fn of_json(json: &Json) -> Tree {
    let tree = match json {
        Json::Null => Wire::Nothing(true),
        Json::Bool(flag) => Wire::Flag(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Wire::Number(number),
            None => Wire::Text(number.to_string()),
        },
        Json::String(text) => Wire::Text(text.clone()),
        Json::Array(items) => Wire::List(TreeList {
            items: items.iter().map(of_json).collect(),
        }),
        Json::Object(map) => Wire::Map(TreeMap {
            entries: map
                .iter()
                .map(|(name, value)| TreeEntry {
                    name: name.clone(),
                    value: Some(of_json(value)),
                })
                .collect(),
        }),
    };
    Tree { tree: Some(tree) }
}

fn to_json(tree: &Tree, depth: usize, what: &'static str) -> Result<Json, SemanticError> {
    if depth > DEPTH_MAX {
        return Err(SemanticError::TooLarge {
            what: "depth of a tree",
            limit: DEPTH_MAX,
        });
    }
    let below = |tree: &Tree| to_json(tree, depth + 1, what);
    Ok(match tree.tree.as_ref().ok_or(SemanticError::Missing("tree"))? {
        Wire::Nothing(_) => Json::Null,
        Wire::Flag(flag) => Json::Bool(*flag),
        Wire::Number(number) => Json::from(*number),
        Wire::Text(text) => Json::String(text.clone()),
        Wire::List(list) => Json::Array(list.items.iter().map(below).collect::<Result<_, _>>()?),
        Wire::Map(map) => {
            let mut object = Map::new();
            for entry in &map.entries {
                let value = below(
                    entry
                        .value
                        .as_ref()
                        .ok_or(SemanticError::Missing("value of an entry"))?,
                )?;
                if object.insert(entry.name.clone(), value).is_some() {
                    return Err(SemanticError::Shape {
                        what,
                        problem: format!("{:?} stands twice", entry.name.chars().take(80).collect::<String>()),
                    });
                }
            }
            Json::Object(object)
        }
    })
}
