//! Outcomes on the wire.

use super::DecodeError;
use super::fact::{Names, write_root, write_template};
use super::reader::Reader;
use super::writer::Writer;
use crate::{Content, Outcome, Output, Role, Segment, TextTemplate};

type Result<T> = std::result::Result<T, DecodeError>;

/// The shortest segment: a tag and an empty text.
const MIN_SEGMENT: usize = 2;

/// The shortest output: role, mode, an empty plain path, a content tag and no segments.
const MIN_OUTPUT: usize = 9;

/// Permission bits that a record may carry: no set-user-ID, set-group-ID or sticky bit.
const MODE_BITS: u32 = 0o777;

pub(super) fn read_outcome(bytes: &[u8]) -> Result<Outcome> {
    let reader = &mut Reader::new(bytes);
    let names = &mut Names::default();
    let exit_code = reader.i32()?;
    let cost_us = reader.u64()?;
    let stdout = read_text(reader, names)?;
    let stderr = read_text(reader, names)?;
    let count = reader.count(MIN_OUTPUT)?;
    let mut outputs = Vec::with_capacity(count);
    for _ in 0..count {
        outputs.push(read_output(reader, names)?);
    }
    reader.clone().finish()?;
    Ok(Outcome { exit_code, stdout, stderr, outputs, cost_us })
}

fn read_text(reader: &mut Reader<'_>, names: &mut Names) -> Result<TextTemplate> {
    let count = reader.count(MIN_SEGMENT)?;
    let mut segments = Vec::with_capacity(count);
    for _ in 0..count {
        segments.push(match reader.u8()? {
            0 => Segment::Text(reader.bytes()?.to_vec()),
            1 => Segment::Root(names.root(reader)?),
            _ => return Err(DecodeError::Malformed("unknown segment tag")),
        });
    }
    Ok(TextTemplate { segments })
}

fn read_output(reader: &mut Reader<'_>, names: &mut Names) -> Result<Output> {
    let role = match reader.u8()? {
        0 => Role::Metadata,
        1 => Role::Rlib,
        2 => Role::DepInfo,
        3 => Role::Executable,
        4 => Role::Other,
        5 => Role::Directory,
        6 => Role::Symlink,
        _ => return Err(DecodeError::Malformed("unknown role")),
    };
    let mode = reader.u32()?;
    if mode & !MODE_BITS != 0 {
        return Err(DecodeError::Malformed("mode beyond 0o777"));
    }
    let path = names.template(reader)?;
    let content = match reader.u8()? {
        0 => Content::Blob { digest: reader.digest()?, size: reader.u64()? },
        1 => Content::Text(read_text(reader, names)?),
        _ => return Err(DecodeError::Malformed("unknown content tag")),
    };
    Ok(Output { role, path, content, mode })
}

pub(super) fn write_outcome(outcome: &Outcome) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.i32(outcome.exit_code);
    writer.u64(outcome.cost_us);
    write_text(&mut writer, &outcome.stdout);
    write_text(&mut writer, &outcome.stderr);
    writer.count(outcome.outputs.len());
    for output in &outcome.outputs {
        write_output(&mut writer, output);
    }
    writer.into_bytes()
}

fn write_text(writer: &mut Writer, text: &TextTemplate) {
    writer.count(text.segments.len());
    for segment in &text.segments {
        match segment {
            Segment::Text(bytes) => {
                writer.u8(0);
                writer.bytes(bytes);
            }
            Segment::Root(root) => {
                writer.u8(1);
                write_root(writer, root);
            }
        }
    }
}

fn write_output(writer: &mut Writer, output: &Output) {
    writer.u8(match output.role {
        Role::Metadata => 0,
        Role::Rlib => 1,
        Role::DepInfo => 2,
        Role::Executable => 3,
        Role::Other => 4,
        Role::Directory => 5,
        Role::Symlink => 6,
    });
    writer.u32(output.mode & MODE_BITS);
    write_template(writer, &output.path);
    match &output.content {
        Content::Blob { digest, size } => {
            writer.u8(0);
            writer.digest(digest);
            writer.u64(*size);
        }
        Content::Text(text) => {
            writer.u8(1);
            write_text(writer, text);
        }
    }
}
