//! Logs of the tracer: what was written is read, and torn bytes end the reading.

use cache_rustc::trace::Trace;
use cache_rustc::trace::log::{HEAD, MAGIC, MAX_TEXT, Record, records};

/// The start of a log, and texts.
pub const WORDS: &[&[u8]] = &[
    b"LTRACE\0\x01",
    b"/usr/lib/x.so",
    b"\x20\0\0\0",
    b"\x21\0\0\0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0\0\0\0\0",
];

/// Checks the bytes as a log, as a log without its first bytes, and as the fields of records.
pub fn check(data: &[u8]) {
    check_log(data);
    check_log(&[&MAGIC, data].concat());
    check_written(data);
}

/// What is read is exactly what a writer would have written.
fn check_log(log: &[u8]) {
    let trace = Trace::parse(log);
    let Ok(mut records) = records(log) else {
        assert!(!log.starts_with(&MAGIC) && trace.is_err());
        return;
    };
    loop {
        let start = records.offset();
        match records.next() {
            None => return,
            Some(Ok(record)) => {
                let mut again = Vec::new();
                record.encode(&mut again);
                assert_eq!(log.get(start..records.offset()), Some(again.as_slice()));
            }
            Some(Err(_)) => {
                assert!(records.next().is_none(), "nothing after an error");
                return;
            }
        }
    }
}

/// Makes records of the data; reads them, and what is left when the log is cut anywhere in the last.
fn check_written(data: &[u8]) {
    let mut log = MAGIC.to_vec();
    let mut written = Vec::new();
    let mut rest = data;
    while let Some(([kind, detail, len, extra], tail)) = rest.split_first_chunk() {
        let (path, tail) = tail.split_at(tail.len().min(usize::from(*len)));
        let (extra, tail) = tail.split_at(tail.len().min(usize::from(*extra)));
        let number = u32::from(*len) << 24 | u32::from(*detail);
        let record = Record {
            kind: *kind,
            detail: *detail,
            errno: u16::from(*len),
            arg: number,
            pid: number,
            path,
            extra,
        };
        assert!(path.len() <= MAX_TEXT);
        record.encode(&mut log);
        written.push((record, log.len()));
        rest = tail;
    }
    let read: Vec<_> = records(&log).expect("it begins rightly").map_while(Result::ok).collect();
    assert!(read.iter().eq(written.iter().map(|(record, _)| record)));
    let _ = Trace::parse(&log);
    if let Some((_, end)) = written.last() {
        let cut = end - 1 - data.len() % HEAD;
        let kept = records(&log[..cut]).expect("it begins rightly").map_while(Result::ok).count();
        assert_eq!(kept, read.len() - 1, "a record cut short is none");
    }
}
