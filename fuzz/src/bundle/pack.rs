//! Packs: however the bytes come, the same members come out, none longer than it says.

use bytes::Bytes;
use cache_storage::bundle::{Member, PackReader};
use futures::executor::block_on;
use futures::{StreamExt, stream};

use super::head;

/// Most bytes of a member that are read: a bomb is one only for who reads it to its end.
const MOST: usize = 1 << 18;

/// Checks the bytes as they are, as members, and as the frame of one.
pub fn check(data: &[u8]) {
    check_one(data);
    check_one(&[&head(b'p')[..], data].concat());
    let frame = zstd::bulk::compress(data, 1).expect("memory for a frame");
    let lengths = [(data.len() as u64).to_le_bytes(), (frame.len() as u64).to_le_bytes()];
    let pack = [&head(b'p')[..], &[7; 32], &lengths.concat(), &frame].concat();
    let read = read(&pack, 7);
    assert!(read.well && read.members.len() == 1, "a member as it should be");
    assert_eq!(read.members[0].1, data[..data.len().min(MOST)]);
    check_one(&pack);
}

fn check_one(bytes: &[u8]) {
    let whole = read(bytes, usize::MAX);
    for (member, plain) in &whole.members {
        assert!(plain.len() as u64 <= member.size);
    }
    for piece in [1, 13] {
        assert_eq!(read(bytes, piece), whole, "in pieces of {piece}");
    }
}

#[derive(Debug, PartialEq)]
struct Read {
    /// Each with the first of its bytes.
    members: Vec<(Member, Vec<u8>)>,
    well: bool,
}

fn read(bytes: &[u8], piece: usize) -> Read {
    let pieces: Vec<_> = bytes
        .chunks(piece.min(bytes.len().max(1)))
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let mut pack = PackReader::new(stream::iter(pieces).boxed());
    let mut members = Vec::new();
    block_on(async {
        loop {
            let member = match pack.next().await {
                Ok(Some(member)) => member,
                end => return Read { members, well: end.is_ok() },
            };
            let mut plain = Vec::new();
            let mut inflating = pack.bytes(&member).expect("memory for inflating");
            while plain.len() < MOST {
                let Some(Ok(piece)) = inflating.next().await else { break };
                plain.extend_from_slice(&piece);
            }
            drop(inflating);
            plain.truncate(MOST);
            members.push((member, plain));
        }
    })
}
