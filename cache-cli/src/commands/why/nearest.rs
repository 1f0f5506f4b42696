//! Comparing recipes.

use std::collections::BTreeMap;

use super::Fields;

/// A field that differs: its name, and its value there and here (`None`: it has none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) name: String,
    pub(super) was: Option<String>,
    pub(super) is: Option<String>,
}

/// The fields that differ between an earlier recipe and this one. Names may repeat, in an order
/// that counts: values of one name are compared in turn.
pub(super) fn differences(was: &Fields, is: &Fields) -> Vec<Difference> {
    let all = all_differences(was, is);
    let telling: Vec<_> = all.iter().filter(|d| !DERIVED.contains(&&*d.name)).cloned().collect();
    if telling.is_empty() { all } else { telling }
}

/// Fields that cargo makes from others: they tell something only when nothing else differs.
const DERIVED: [&str; 4] = ["arg:-C metadata", "arg:-C extra-filename", "arg:-L", "out-dir"];

fn all_differences(was: &Fields, is: &Fields) -> Vec<Difference> {
    let (was, is) = (grouped(was), grouped(is));
    let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
    let mut found = Vec::new();
    for name in names {
        let none = Vec::new();
        let (a, b) = (was.get(name).unwrap_or(&none), is.get(name).unwrap_or(&none));
        // What both have, in whatever place, tells nothing, unless nothing else differs.
        let only_a: Vec<_> = a.iter().filter(|value| !b.contains(value)).collect();
        let only_b: Vec<_> = b.iter().filter(|value| !a.contains(value)).collect();
        if a != b && only_a.is_empty() && only_b.is_empty() {
            let joined = |values: &Vec<&str>| Some(values.join(", "));
            found.push(Difference { name: (*name).into(), was: joined(a), is: joined(b) });
        }
        for at in 0..only_a.len().max(only_b.len()) {
            let text = |values: &[&&str]| values.get(at).map(|value| (**value).to_owned());
            let (was, is) = (text(&only_a), text(&only_b));
            found.push(Difference { name: (*name).into(), was, is });
        }
    }
    found
}

fn grouped(fields: &Fields) -> BTreeMap<&str, Vec<&str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in fields {
        groups.entry(name).or_default().push(value);
    }
    groups
}

/// Which earlier recipe is nearest: the one with the fewest differences, the newest of several.
/// `earlier` is newest first.
pub(super) fn nearest<T>(
    is: &Fields,
    earlier: impl Iterator<Item = (T, Fields)>,
) -> Option<(T, Vec<Difference>)> {
    earlier
        .map(|(tag, was)| (tag, differences(&was, is)))
        .filter(|(_, differences)| !differences.is_empty())
        .min_by_key(|(_, differences)| differences.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn shown(was: &[(&str, &str)], is: &[(&str, &str)]) -> Vec<String> {
        let or = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        let all = differences(&fields(was), &fields(is));
        all.into_iter().map(|d| format!("{} {} {}", d.name, or(d.was), or(d.is))).collect()
    }

    #[test]
    fn fields_are_compared_by_name() {
        let was = [("crate", "a"), ("arg:cfg", "x"), ("arg:cfg", "y"), ("env:K", "1")];
        let is = [("crate", "a"), ("arg:cfg", "y"), ("arg:opt", "3"), ("env:K", "2")];
        assert_eq!(shown(&was, &is), ["arg:cfg x -", "env:K 1 2", "arg:opt - 3"]);
        assert_eq!(shown(&is, &is), Vec::<String>::new());
        let swapped = [("l", "a"), ("l", "b")];
        assert_eq!(shown(&swapped, &[("l", "b"), ("l", "a")]), ["l a, b b, a"]);
    }

    #[test]
    fn the_nearest_has_the_fewest_differences() {
        let is = fields(&[("a", "1"), ("b", "1")]);
        let earlier = [
            ("same", fields(&[("a", "1"), ("b", "1")])),
            ("far", fields(&[("a", "2"), ("b", "2")])),
            ("near", fields(&[("a", "1"), ("b", "2")])),
            ("older", fields(&[("a", "2"), ("b", "1")])),
        ];
        let (tag, differences) = nearest(&is, earlier.into_iter()).expect("one");
        assert_eq!((tag, differences.len()), ("near", 1));
    }
}
