//! A script's streams: passed on as they come, kept up to a limit.

use std::io::{self, Read};
use std::process::Child;

use super::super::streams::Sink;

/// How much of a stream is kept, in bytes. cargo keeps all of it; a store need not.
const LIMIT: usize = 16 << 20;

/// What a stream carried; `None` when it was more than is kept.
pub(super) type Kept = Option<Vec<u8>>;

/// Passes standard output and standard error on to their ends.
pub(super) fn pass(child: &mut Child, sink: &dyn Sink) -> (Kept, Kept) {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let out = scope.spawn(move || {
            out.map_or(Some(Vec::new()), |out| tee(out, &|b| sink.stdout(b), LIMIT))
        });
        let err = err.map_or(Some(Vec::new()), |err| tee(err, &|b| sink.stderr(b), LIMIT));
        (out.join().unwrap_or_default(), err)
    })
}

fn tee(mut from: impl Read, to: &dyn Fn(&[u8]), limit: usize) -> Kept {
    let mut kept = Some(Vec::new());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return kept,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // What is missing must not be taken for the whole.
            Err(_) => return None,
        };
        to(&buffer[..read]);
        match &mut kept {
            Some(all) if all.len() + read <= limit => all.extend_from_slice(&buffer[..read]),
            _ => kept = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn everything_is_passed_on_and_no_more_than_the_limit_is_kept() {
        for (limit, kept) in [(5, Some(b"12345".to_vec())), (4, None)] {
            let passed = Mutex::new(Vec::new());
            let got =
                tee(&b"12345"[..], &|b| passed.lock().expect("test").extend_from_slice(b), limit);
            assert_eq!(got, kept);
            assert_eq!(passed.into_inner().expect("test"), b"12345");
        }
    }
}
