//! The grammar of the command line: which argument is an option, which a value, which a file.
//!
//! The same as that of the `getopts` crate, which rustc uses, with options and files mixed
//! freely: `--name value`, `--name=value`, `-xVALUE`, `-x VALUE`, flags in clusters (`-gO`,
//! `-vV`), `--` ends the options, a lone `-` is a file. Values are taken as they come, also
//! when they begin with a dash.

use super::Reason;
use super::table::{self, Arity, Opt};

/// One thing on the command line.
#[derive(Debug, PartialEq)]
pub(super) enum Item<'a> {
    /// An option that takes no value.
    Flag(&'static Opt),
    /// An option and its value.
    Value(&'static Opt, &'a str),
    /// Not an option: a source file.
    Free(&'a str),
    /// Not in the grammar. Scanning goes on, so that a query behind it is still seen.
    Bad(Reason),
}

/// Splits expanded arguments into items.
pub(super) struct Scanner<'a> {
    args: std::slice::Iter<'a, &'a str>,
    /// The rest of a cluster of one-letter flags.
    cluster: &'a str,
    only_free: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(args: &'a [&'a str]) -> Self {
        Self { args: args.iter(), cluster: "", only_free: false }
    }

    fn long(&mut self, body: &'a str) -> Item<'a> {
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        let Some(opt) = table::long(name) else {
            return Item::Bad(Reason::UnknownOption(format!("--{name}")));
        };
        match (opt.arity, value) {
            (Arity::Flag, None) => Item::Flag(opt),
            (Arity::Flag, Some(_)) => Item::Bad(Reason::UnexpectedValue(opt.key)),
            (Arity::Value | Arity::Optional, Some(value)) => Item::Value(opt, value),
            (Arity::Value | Arity::Optional, None) => self.next_value(opt),
        }
    }

    fn short(&mut self) -> Option<Item<'a>> {
        let letter = self.cluster.chars().next()?;
        let rest = &self.cluster[letter.len_utf8()..];
        self.cluster = "";
        Some(match table::short(letter) {
            None => Item::Bad(Reason::UnknownOption(format!("-{letter}"))),
            Some(opt) if opt.arity == Arity::Flag => {
                self.cluster = rest;
                Item::Flag(opt)
            }
            Some(opt) if rest.is_empty() => self.next_value(opt),
            Some(opt) => Item::Value(opt, rest),
        })
    }

    fn next_value(&mut self, opt: &'static Opt) -> Item<'a> {
        match self.args.next() {
            Some(value) => Item::Value(opt, value),
            None => Item::Bad(Reason::MissingValue(opt.key)),
        }
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        if let Some(item) = self.short() {
            return Some(item);
        }
        loop {
            let arg = *self.args.next()?;
            if self.only_free || arg.len() < 2 || !arg.starts_with('-') {
                return Some(Item::Free(arg));
            }
            match arg.strip_prefix("--") {
                Some("") => self.only_free = true,
                Some(body) => return Some(self.long(body)),
                None => {
                    self.cluster = &arg[1..];
                    return self.short();
                }
            }
        }
    }
}
