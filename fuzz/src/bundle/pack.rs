//! Packs: however the bytes come, the same members come out, and each is as long as it says.

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
    let size = (data.len() as u64).to_le_bytes();
    let stored = (frame.len() as u64).to_le_bytes();
    let pack = [&head(b'p')[..], &1_u32.to_le_bytes(), &[7; 32], &size, &stored, &frame].concat();
    for piece in [7, usize::MAX] {
        let read = read(&pack, piece);
        assert!(read.well && read.members.len() == 1, "a member as it should be");
        assert_eq!(read.members[0].1, data[..data.len().min(MOST)]);
    }
    check_one(&pack);
}

fn check_one(bytes: &[u8]) {
    let whole = read(bytes, usize::MAX);
    for (member, plain) in &whole.members {
        assert!(plain.len() as u64 <= member.size);
    }
    for piece in [1, 13] {
        let pieces = read(bytes, piece);
        let both = pieces.members.len().min(whole.members.len());
        assert_eq!(pieces.members[..both], whole.members[..both], "in pieces of {piece}");
        // Which errors of a frame are met, and when, depends on the pieces: zstd looks at a frame that it has
        // whole in another order. A frame as it should be comes whole either way, see above.
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
            let group = match pack.next_group().await {
                Ok(Some(group)) => group,
                end => return Read { members, well: end.is_ok() },
            };
            for member in group {
                let Ok(mut inflating) = pack.next_member(&member).await else {
                    return Read { members, well: false };
                };
                let (mut plain, mut well) = (Vec::new(), true);
                while plain.len() < MOST && well {
                    match inflating.next().await {
                        Some(Ok(piece)) => plain.extend_from_slice(&piece),
                        Some(Err(_)) => well = false,
                        None => {
                            assert_eq!(plain.len() as u64, member.size);
                            break;
                        }
                    }
                }
                drop(inflating);
                if !well {
                    // How much comes before an error depends on the pieces.
                    return Read { members, well };
                }
                plain.truncate(MOST);
                members.push((member, plain));
            }
        }
    })
}
