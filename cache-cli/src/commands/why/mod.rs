//! `larder why CRATE`: what became of a crate the last time, in plain words.

mod explain;
mod nearest;

use anyhow::{Result, bail};
use cache_core::{Recipe, RecipeKey, Record};
use cache_storage::{DiskStore, Store};
use futures::executor::block_on;

use crate::config::Config;
use crate::events::{Event, History};
use crate::{fields, places};
use explain::Explainer;

/// The named fields of a recipe, as text.
type Fields = Vec<(String, String)>;

/// Prints why.
///
/// # Errors
/// When nothing is known of the crate.
pub(super) fn run(name: &str) -> Result<bool> {
    let config = Config::load();
    let (places, store) = places::open(&config);
    let Some(places) = places else { bail!(store.err().map_or(String::new(), |e| e.to_string())) };
    let history = History::read(&places.events);
    let recipes = |event: &Event| recipe_of(event, store.as_ref().ok());
    let said = Explainer { events: &history.events, recipes: &recipes }.tell(name);
    match said {
        Some(said) => {
            say!("{said}");
            Ok(true)
        }
        None => bail!("{}", unknown(name, &history.events)),
    }
}

/// Why the miss at `at` was one, in one line.
pub(crate) fn cause(events: &[Event], at: usize, store: Option<&DiskStore>) -> String {
    Explainer { events, recipes: &|event| recipe_of(event, store) }.cause(at)
}

/// The recipe of an event: as written in the event, or from the record it was stored in.
fn recipe_of(event: &Event, store: Option<&DiskStore>) -> Option<Fields> {
    if !event.recipe.is_empty() {
        return Some(event.recipe.clone());
    }
    stored(RecipeKey(event.key.parse().ok()?), store?).map(|recipe| fields::named(&recipe))
}

fn stored(key: RecipeKey, store: &DiskStore) -> Option<Recipe> {
    let stored = block_on(store.get_record(&key)).ok()??;
    Record::decode(&stored.bytes).ok().map(|record| record.recipe)
}

/// No event names the crate: suggests what may have been meant.
fn unknown(name: &str, events: &[Event]) -> String {
    let near = events
        .iter()
        .map(|event| (strsim::jaro_winkler(name, &event.crate_name), &event.crate_name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(near, _)| *near > 0.8);
    let hint = near.map(|(_, near)| format!("; did you mean {near}?")).unwrap_or_default();
    format!(
        "no build of a crate `{name}` went through larder with this store{hint}\n\
         (names are those that rustc gets, without the package's version)"
    )
}
