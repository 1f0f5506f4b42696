//! Small random changes of an input.

use fastrand::Rng;

/// The longest input made.
const MAX_LEN: usize = 4096;

/// Changes `data` in one to eight places; `other` is an input to take pieces from.
pub fn mutate(rng: &mut Rng, data: &mut Vec<u8>, other: &[u8], words: &[&[u8]]) {
    for _ in 0..rng.usize(1..=8) {
        change(rng, data, other, words);
        data.truncate(MAX_LEN);
    }
}

fn change(rng: &mut Rng, data: &mut Vec<u8>, other: &[u8], words: &[&[u8]]) {
    let at = rng.usize(..=data.len());
    match rng.u8(..8) {
        0 => flip(rng, data),
        1 => data.insert(at, rng.u8(..)),
        2 => drop(data.drain(some_range(rng, data.len()))),
        3 => {
            let word = rng.choice(words).copied().unwrap_or_default();
            data.splice(at..at, word.iter().copied());
        }
        4 => {
            let word = rng.choice(words).copied().unwrap_or_default();
            let end = data.len().min(at + word.len());
            data.splice(at..end, word.iter().copied());
        }
        5 => {
            let piece = other[some_range(rng, other.len())].to_vec();
            data.splice(at..at, piece);
        }
        6 => {
            let piece = data[some_range(rng, data.len())].to_vec();
            data.splice(at..at, piece);
        }
        _ => {
            if let Some(byte) = data.get_mut(at) {
                *byte = *rng.choice(&[0, 1, 0x7f, 0x80, 0xff, b'/', b'\n', b' ']).unwrap_or(&0);
            }
        }
    }
}

fn flip(rng: &mut Rng, data: &mut [u8]) {
    if !data.is_empty() {
        data[rng.usize(..data.len())] ^= 1 << rng.u8(..8);
    }
}

/// A range within `len`, mostly a short one.
fn some_range(rng: &mut Rng, len: usize) -> std::ops::Range<usize> {
    let start = rng.usize(..=len);
    let longest = if rng.bool() { 16 } else { len };
    start..len.min(start + rng.usize(..=longest))
}
