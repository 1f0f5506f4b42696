//! A name for what an execution left, whenever it ran and however long it took.

use cache_core::{Content, Digest, Hasher, Outcome, Segment, TextTemplate};

/// The digest of an outcome's streams and outputs.
#[must_use]
pub(super) fn digest(outcome: &Outcome) -> Digest {
    let mut hasher = Hasher::keyed("larder 2026-11 outcome v1");
    add_text(&mut hasher, &outcome.stdout);
    add_text(&mut hasher, &outcome.stderr);
    for output in &outcome.outputs {
        hasher.field(format!("{:?} {:o}", output.role, output.mode).as_bytes());
        hasher.field(&output.path.to_bytes());
        match &output.content {
            Content::Blob { digest, .. } => {
                hasher.field(b"blob").field(digest.as_bytes());
            }
            Content::Text(text) => add_text(&mut hasher, text),
        }
    }
    hasher.finish()
}

fn add_text(hasher: &mut Hasher, text: &TextTemplate) {
    hasher.field(b"text");
    for segment in &text.segments {
        match segment {
            Segment::Text(text) => hasher.field(b"t").field(text),
            Segment::Root(root) => hasher.field(b"r").field(root.as_str().as_bytes()),
        };
    }
}
