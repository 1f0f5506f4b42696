use futures::executor::block_on;
use futures::future::{join_all, join3};

use super::super::tests::{faulty, get, is_away, key, poll, put, rest};
use super::*;
use crate::testing::{Fault, FaultyStore};
use crate::{MemoryStore, Operation};

fn new(share: usize) -> (Arc<FaultyStore>, Coalesced) {
    let inner = faulty();
    (inner.clone(), Coalesced::new(inner, CoalesceOptions { share, meeting: None }))
}

async fn read(store: &Coalesced, digest: &Digest) -> Result<Vec<u8>> {
    rest(store.read_blob(digest).await?).await
}

#[test]
fn those_who_ask_at_once_get_one_answer() {
    let (inner, store) = new(5000);
    let (any, digest) = (key("any"), put(&*inner, &[1; 5000]));
    inner.always(Some(Fault::Hang));
    let records = join_all((0..5).map(|_| store.get_record(&any)));
    let blobs = join_all((0..5).map(|_| read(&store, &digest)));
    let mut both = futures::future::join(records, blobs).boxed();
    assert!(poll(&mut both).is_pending());
    inner.release();
    let (records, blobs) = block_on(both);
    assert!(records.iter().all(|record| record.as_ref().unwrap().is_none()));
    assert!(blobs.iter().all(|blob| blob.as_ref().unwrap() == &[1; 5000]));
    let calls = [Operation::GetRecord, Operation::ReadBlob].map(|kind| inner.calls(kind));
    assert_eq!(calls, [1, 1]);
    // Later is another request.
    block_on(store.get_record(&any)).unwrap();
    get(&store, &digest).unwrap();
    assert_eq!(inner.all_calls(), 5);
}

#[test]
fn one_who_gives_up_leaves_the_others_their_answer_and_an_error_is_everybodys() {
    let (inner, store) = new(5000);
    let any = key("any");
    let lost = Some(Fault::ErrorAfter(super::super::tests::away()));
    inner.plan(move |call| if call.number == 0 { Some(Fault::Hang) } else { lost.clone() });
    let mut first = store.get_record(&any);
    let mut second = store.get_record(&any);
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending());
    drop(first);
    inner.release();
    assert!(block_on(second).unwrap().is_none());
    let (a, b, c) =
        block_on(join3(store.get_record(&any), store.get_record(&any), store.get_record(&any)));
    assert!(is_away(&a) && is_away(&b) && is_away(&c));
}

#[test]
fn an_answer_that_has_come_is_not_given_to_those_who_ask_later() {
    let (inner, store) = new(5000);
    let any = key("any");
    inner.always(Some(Fault::Hang));
    let (mut first, mut second) = (store.get_record(&any), store.get_record(&any));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    inner.release();
    assert!(poll(&mut first).is_ready());
    // Another machine writes; the second has its answer and has not looked at it yet.
    block_on(inner.put_record(&any, Bytes::new(), Expected::Absent)).unwrap();
    assert!(block_on(store.get_record(&any)).unwrap().is_some());
    assert!(block_on(second).unwrap().is_none());
}

#[test]
fn an_answer_from_before_a_write_is_not_given_after_it() {
    let (inner, store) = new(5000);
    let any = key("any");
    inner.plan(|call| (call.number == 0).then_some(Fault::Hang));
    let mut early = store.get_record(&any);
    assert!(poll(&mut early).is_pending());
    block_on(store.put_record(&any, Bytes::from("new"), Expected::Absent)).unwrap();
    assert_eq!(block_on(store.get_record(&any)).unwrap().unwrap().bytes, "new");
    drop(early);
}

#[test]
fn a_long_blob_is_streamed_and_readers_do_not_wait_for_each_other() {
    let (inner, store) = new(4999);
    let digest = put(&*inner, &[1; 5000]);
    let (mut first, second) = block_on(async {
        let both = futures::future::join(store.read_blob(&digest), store.read_blob(&digest));
        let (first, second) = both.await;
        (first.unwrap(), second.unwrap())
    });
    assert!(block_on(first.next()).is_some());
    assert_eq!(block_on(rest(second)).unwrap(), [1; 5000]);
    assert_eq!(inner.calls(Operation::ReadBlob), 2);
}

/// One turn at a time in this process, as a file lock would give on a machine.
#[derive(Debug, Default)]
struct OneByOne(Arc<futures::lock::Mutex<()>>);

#[async_trait]
impl Turns for OneByOne {
    async fn turn(&self, _: Wanted) -> Option<Turn> {
        let waited = self.0.try_lock().is_none();
        Some(Turn { waited, guard: Box::new(self.0.clone().lock_owned().await) })
    }
}

#[test]
fn processes_that_meet_make_one_request() {
    let inner = faulty();
    let meeting =
        Meeting { turns: Arc::new(OneByOne::default()), store: Arc::new(MemoryStore::new()) };
    // Two processes, as far as a layer can tell.
    let [one, two] = [0, 1].map(|_| {
        let meeting = Some(meeting.clone());
        Coalesced::new(inner.clone(), CoalesceOptions { share: 10, meeting })
    });
    let (any, digest) = (key("any"), put(&*inner, &[1; 5000]));
    block_on(inner.put_record(&any, Bytes::from("record"), Expected::Absent)).unwrap();
    inner.always(Some(Fault::Hang));
    let records = futures::future::join(one.get_record(&any), two.get_record(&any));
    let blobs = futures::future::join(read(&one, &digest), read(&two, &digest));
    // One kind after the other: they share the one lock.
    let mut records = records.boxed();
    assert!(poll(&mut records).is_pending());
    inner.release();
    let (a, b) = block_on(records);
    assert_eq!(a.unwrap().unwrap().bytes, "record");
    let b = b.unwrap().unwrap();
    assert_eq!(b.bytes, "record");
    let stale = two.put_record(&any, Bytes::new(), Expected::Revision(b.revision));
    assert!(matches!(block_on(stale), Err(crate::StoreError::Conflict)));
    let (a, b) = block_on(blobs);
    assert_eq!((a.unwrap(), b.unwrap()), (vec![1; 5000], vec![1; 5000]));
    assert_eq!(inner.calls(Operation::GetRecord), 1);
}
