//! Facts, templates and roots on the wire.

use super::DecodeError;
use super::reader::Reader;
use super::writer::Writer;
use crate::{EnvValue, Fact, NodeKind, RootName, Template};

type Result<T> = std::result::Result<T, DecodeError>;

/// The shortest fact: a tag and an empty plain template.
pub(super) const MIN_FACT: usize = 3;

/// Names of roots already met; a record has few, used often, and a clone costs no allocation.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<RootName>);

impl Names {
    pub(super) fn root(&mut self, reader: &mut Reader<'_>) -> Result<RootName> {
        let bytes = reader.bytes()?;
        if let Some(known) = self.0.iter().find(|name| name.as_str().as_bytes() == bytes) {
            return Ok(known.clone());
        }
        let text = std::str::from_utf8(bytes).ok();
        // A name is refused for its length before anything is copied: see `RootName::new`.
        let name = text
            .filter(|text| text.len() <= RootName::MAX_LEN)
            .and_then(|text| RootName::new(text.to_owned()).ok())
            .ok_or(DecodeError::Malformed("bad root name"))?;
        if self.0.len() < 16 {
            self.0.push(name.clone());
        }
        Ok(name)
    }

    pub(super) fn template(&mut self, reader: &mut Reader<'_>) -> Result<Template> {
        match reader.u8()? {
            0 => {
                let root = self.root(reader)?;
                Ok(Template::Rooted { root, rest: reader.bytes()?.to_vec() })
            }
            1 => Ok(Template::Plain(reader.bytes()?.to_vec())),
            _ => Err(DecodeError::Malformed("unknown template tag")),
        }
    }

    pub(super) fn fact(&mut self, reader: &mut Reader<'_>) -> Result<Fact> {
        Ok(match reader.u8()? {
            0 => Fact::Variant { name: reader.text()?.to_owned(), value: reader.digest()? },
            1 => Fact::Bound { root: self.root(reader)?, path: reader.bytes()?.to_vec() },
            2 => Fact::Env { name: reader.bytes()?.to_vec(), value: self.env_value(reader)? },
            3 => Fact::Absent { path: self.template(reader)? },
            4 => Fact::Present { path: self.template(reader)?, kind: node_kind(reader)? },
            5 => Fact::Link { path: self.template(reader)?, target: self.template(reader)? },
            6 => Fact::Dir { path: self.template(reader)?, listing: reader.digest()? },
            7 => Fact::File { path: self.template(reader)?, digest: reader.digest()? },
            _ => return Err(DecodeError::Malformed("unknown fact tag")),
        })
    }

    fn env_value(&mut self, reader: &mut Reader<'_>) -> Result<EnvValue> {
        match reader.u8()? {
            0 => Ok(EnvValue::Unset),
            1 => Ok(EnvValue::Digest(reader.digest()?)),
            2 => Ok(EnvValue::Path(self.template(reader)?)),
            _ => Err(DecodeError::Malformed("unknown environment value tag")),
        }
    }
}

fn node_kind(reader: &mut Reader<'_>) -> Result<NodeKind> {
    match reader.u8()? {
        0 => Ok(NodeKind::File),
        1 => Ok(NodeKind::Dir),
        2 => Ok(NodeKind::Other),
        3 => Ok(NodeKind::Program),
        _ => Err(DecodeError::Malformed("unknown node kind")),
    }
}

pub(super) fn write_root(writer: &mut Writer, root: &RootName) {
    writer.bytes(root.as_str().as_bytes());
}

pub(super) fn write_template(writer: &mut Writer, template: &Template) {
    match template {
        Template::Rooted { root, rest } => {
            writer.u8(0);
            write_root(writer, root);
            writer.bytes(rest);
        }
        Template::Plain(path) => {
            writer.u8(1);
            writer.bytes(path);
        }
    }
}

pub(super) fn write_fact(writer: &mut Writer, fact: &Fact) {
    match fact {
        Fact::Variant { name, value } => {
            writer.u8(0);
            writer.bytes(name.as_bytes());
            writer.digest(value);
        }
        Fact::Bound { root, path } => {
            writer.u8(1);
            write_root(writer, root);
            writer.bytes(path);
        }
        Fact::Env { name, value } => {
            writer.u8(2);
            writer.bytes(name);
            write_env_value(writer, value);
        }
        Fact::Absent { path } => {
            writer.u8(3);
            write_template(writer, path);
        }
        Fact::Present { path, kind } => {
            writer.u8(4);
            write_template(writer, path);
            writer.u8(match kind {
                NodeKind::File => 0,
                NodeKind::Dir => 1,
                NodeKind::Other => 2,
                NodeKind::Program => 3,
            });
        }
        Fact::Link { path, target } => {
            writer.u8(5);
            write_template(writer, path);
            write_template(writer, target);
        }
        Fact::Dir { path, listing } => {
            writer.u8(6);
            write_template(writer, path);
            writer.digest(listing);
        }
        Fact::File { path, digest } => {
            writer.u8(7);
            write_template(writer, path);
            writer.digest(digest);
        }
    }
}

fn write_env_value(writer: &mut Writer, value: &EnvValue) {
    match value {
        EnvValue::Unset => writer.u8(0),
        EnvValue::Digest(digest) => {
            writer.u8(1);
            writer.digest(digest);
        }
        EnvValue::Path(template) => {
            writer.u8(2);
            write_template(writer, template);
        }
    }
}
