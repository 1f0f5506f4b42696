use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Owned {
    numbers: (u8, u8, u16, u32, u32),
    path: Vec<u8>,
    extra: Vec<u8>,
}

impl Owned {
    fn record(&self) -> Record<'_> {
        let (kind, detail, errno, arg, pid) = self.numbers;
        Record { kind, detail, errno, arg, pid, path: &self.path, extra: &self.extra }
    }
}

fn some_record() -> impl Strategy<Value = Owned> {
    let text = || proptest::collection::vec(any::<u8>(), 0..80);
    (any::<(u8, u8, u16, u32, u32)>(), text(), text()).prop_map(|(numbers, path, extra)| Owned {
        numbers,
        path,
        extra,
    })
}

fn log_of(records: &[Owned]) -> Vec<u8> {
    let mut log = MAGIC.to_vec();
    for r in records {
        r.record().encode(&mut log);
    }
    log
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(list in proptest::collection::vec(some_record(), 0..8)) {
        let log = log_of(&list);
        let back: Result<Vec<_>, _> = records(&log).unwrap().collect();
        prop_assert_eq!(back.unwrap(), list.iter().map(Owned::record).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut log = MAGIC.to_vec();
        log.extend(bytes);
        let n = records(&log).unwrap().count();
        prop_assert!(n <= log.len());
    }

    #[test]
    fn a_changed_byte_is_noticed(list in proptest::collection::vec(some_record(), 1..4), at: prop::sample::Index, flip in 1u8..) {
        let mut log = log_of(&list);
        let at = MAGIC.len() + at.index(log.len() - MAGIC.len());
        log[at] ^= flip;
        prop_assert!(records(&log).unwrap().any(|r| r.is_err()));
    }

    #[test]
    fn a_cut_log_is_noticed(list in proptest::collection::vec(some_record(), 1..4), cut: prop::sample::Index) {
        let log = log_of(&list);
        let mut ends = vec![MAGIC.len()];
        for r in &list {
            ends.push(ends[ends.len() - 1] + HEAD + r.path.len() + r.extra.len());
        }
        let cut = MAGIC.len() + cut.index(log.len() - MAGIC.len());
        let good = records(&log[..cut]).unwrap().all(|r| r.is_ok());
        prop_assert_eq!(good, ends.contains(&cut));
    }
}

#[test]
fn a_log_of_another_version_is_refused() {
    let mut log = MAGIC;
    log[7] = 2;
    assert_eq!(records(&log).unwrap_err(), LogError::Header);
    assert_eq!(records(b"").unwrap_err(), LogError::Header);
}

#[test]
fn the_kinds_of_the_shim_are_the_kinds_of_the_decoder() {
    let shim = include_str!("../../../shim/log.rs");
    let own = include_str!("../log.rs");
    let mut seen = 0;
    for line in shim
        .lines()
        .filter_map(|l| l.strip_prefix("pub(crate) const "))
        .filter(|l| l.contains(": u8 = "))
    {
        assert!(own.contains(&format!("    pub const {line}")), "the decoder lacks {line}");
        seen += 1;
    }
    assert_eq!(seen, 22);
}
