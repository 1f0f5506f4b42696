//! Rules about blobs.

use std::task::Poll;

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;
use futures::channel::oneshot;
use futures::future::{Either, select};

use super::records::{delete, put};
use super::tools::{
    Promised, collect, must_be, must_be_absent, pieces, remove, rule, unique_bytes, unique_key,
    write,
};
use super::{Verdict, Violation};
use crate::{Expected, Store, StoreError};

pub(super) async fn absent_blob_is_absent(store: &dyn Store) -> Verdict {
    must_be_absent(store, &unique_key().0, "a blob never written").await?;
    let none = store.contains_blobs(&[]).await.promised("contains_blobs of nothing")?;
    rule(none.is_empty(), || "contains_blobs of no digests must give no answers".into())
}

pub(super) async fn blob_comes_back_as_written(store: &dyn Store) -> Verdict {
    for length in [1, 4095, 4096, 65_537] {
        let bytes = unique_bytes(length);
        let digest = write(store, &bytes).await?;
        must_be(store, &bytes, "a blob just written").await?;
        remove(store, &digest).await?;
    }
    Ok(())
}

pub(super) async fn empty_blob_is_a_blob(store: &dyn Store) -> Verdict {
    let (empty, digest) = (Bytes::new(), Digest::of(b""));
    // Somebody else's empty blob is the same; it is not deleted.
    let no_pieces = futures::stream::empty().boxed();
    store.write_blob(&digest, 0, no_pieces).await.promised("writing an empty blob")?;
    must_be(store, &empty, "the empty blob").await?;
    let empty_pieces = futures::stream::iter([Ok(Bytes::new()), Ok(Bytes::new())]).boxed();
    store
        .write_blob(&digest, 0, empty_pieces)
        .await
        .promised("writing an empty blob of empty pieces")?;
    must_be(store, &empty, "the empty blob, written again").await
}

pub(super) async fn big_blob_in_odd_pieces(store: &dyn Store) -> Verdict {
    let bytes = unique_bytes(5_000_003);
    let digest = Digest::of(&bytes);
    let odd = pieces(&bytes, &[1, 65_536, 3, 131_071, 7, 0, 1_000_000]);
    store
        .write_blob(&digest, bytes.len() as u64, odd)
        .await
        .promised("writing 5 MB in odd pieces")?;
    must_be(store, &bytes, "a blob of 5 MB written in odd pieces").await?;
    remove(store, &digest).await
}

pub(super) async fn wrong_digest_is_refused(store: &dyn Store) -> Verdict {
    let (bytes, digest) = (unique_bytes(1000), unique_key().0);
    let result = store.write_blob(&digest, 1000, pieces(&bytes, &[300])).await;
    must_refuse(&result, "bytes of another digest")?;
    must_be_absent(store, &digest, "after a write of wrong bytes was refused").await?;
    must_be_absent(store, &Digest::of(&bytes), "the blob that the wrong bytes would be").await
}

pub(super) async fn wrong_length_is_refused(store: &dyn Store) -> Verdict {
    let bytes = unique_bytes(1000);
    let digest = Digest::of(&bytes);
    for (size, what) in [(999, "more bytes than announced"), (1001, "fewer bytes than announced")] {
        let result = store.write_blob(&digest, size, pieces(&bytes, &[333])).await;
        must_refuse(&result, what)?;
        must_be_absent(store, &digest, "after a write of wrong length was refused").await?;
    }
    // The right bytes come first, then more.
    let longer =
        pieces(&bytes, &[1000]).chain(futures::stream::iter([Ok(Bytes::from_static(b"x"))]));
    let result = store.write_blob(&digest, 1000, longer.boxed()).await;
    must_refuse(&result, "the right bytes followed by others")?;
    must_be_absent(store, &digest, "after a write with bytes to spare was refused").await
}

pub(super) async fn failing_stream_stores_nothing(store: &dyn Store) -> Verdict {
    let bytes = unique_bytes(1000);
    let digest = Digest::of(&bytes);
    for first in [0, 500, 1000] {
        let failure = StoreError::Full("the stream's own error".into());
        let good = futures::stream::iter([Ok(bytes.slice(..first))]);
        let stream = good.chain(futures::stream::iter([Err(failure)])).boxed();
        let result = store.write_blob(&digest, 1000, stream).await;
        let passed_on =
            matches!(&result, Err(StoreError::Full(text)) if text == "the stream's own error");
        rule(passed_on, || {
            format!("an error of the stream must be passed on, not become {result:?}")
        })?;
        must_be_absent(store, &digest, "after its stream failed").await?;
    }
    write(store, &bytes).await?;
    must_be(store, &bytes, "a blob written after a failed try").await?;
    remove(store, &digest).await
}

pub(super) async fn writing_a_blob_again_succeeds(store: &dyn Store) -> Verdict {
    let bytes = unique_bytes(10_000);
    let digest = write(store, &bytes).await?;
    write(store, &bytes).await?;
    must_be(store, &bytes, "a blob written twice").await?;
    remove(store, &digest).await?;
    must_be_absent(store, &digest, "a blob written twice and deleted once").await
}

pub(super) async fn contains_answers_in_order(store: &dyn Store) -> Verdict {
    let (first, second) = (unique_bytes(10), unique_bytes(20));
    let (first, second) = (write(store, &first).await?, write(store, &second).await?);
    let absent = unique_key().0;
    let asked = [second, absent, first, second, absent];
    let answer = store.contains_blobs(&asked).await.promised("contains_blobs")?;
    rule(answer == [true, false, true, true, false], || {
        format!("contains_blobs must answer for each digest in the order asked, not {answer:?}")
    })?;
    remove(store, &first).await?;
    remove(store, &second).await
}

pub(super) async fn contains_takes_any_number(store: &dyn Store) -> Verdict {
    let bytes = unique_bytes(10);
    let there = write(store, &bytes).await?;
    let absent = unique_key().0;
    let asked: Vec<_> = (0..5000).map(|n| if n % 1000 == 999 { there } else { absent }).collect();
    let answer = store.contains_blobs(&asked).await.promised("contains_blobs of 5000 digests")?;
    rule(answer.len() == asked.len(), || {
        format!("contains_blobs of 5000 digests must give as many answers, not {}", answer.len())
    })?;
    let wrong = asked.iter().zip(&answer).position(|(digest, found)| (*digest == there) != *found);
    rule(wrong.is_none(), || {
        format!(
            "contains_blobs of 5000 digests must be right about each, not wrong about {wrong:?}"
        )
    })?;
    remove(store, &there).await
}

pub(super) async fn size_is_told_right_or_not_at_all(store: &dyn Store) -> Verdict {
    for length in [0, 1, 65_537] {
        let bytes = unique_bytes(length);
        let digest = write(store, &bytes).await?;
        let blob = store.read_sized_blob(&digest).await.promised("read_sized_blob")?;
        let told = blob.size;
        rule(told.is_none_or(|size| size == length as u64), || {
            format!("read_sized_blob of a blob of {length} bytes must not say it has {told:?}")
        })?;
        let whole = collect(blob.bytes).await.promised("reading a blob by read_sized_blob")?;
        rule(whole == bytes, || "read_sized_blob must give the bytes written".into())?;
        if length > 0 {
            remove(store, &digest).await?;
        }
    }
    let absent = store.read_sized_blob(&unique_key().0).await.map(|_| ());
    rule(matches!(absent, Err(StoreError::BlobAbsent(_))), || {
        format!("read_sized_blob of an absent blob must fail with BlobAbsent, not give {absent:?}")
    })
}

pub(super) async fn deleted_blob_is_absent(store: &dyn Store) -> Verdict {
    let (bytes, other) = (unique_bytes(100), unique_bytes(100));
    let digest = Digest::of(&bytes);
    remove(store, &digest).await?; // absent is success
    write(store, &bytes).await?;
    let other_digest = write(store, &other).await?;
    remove(store, &digest).await?;
    must_be_absent(store, &digest, "a deleted blob").await?;
    must_be(store, &other, "another blob than the one deleted").await?;
    write(store, &bytes).await?;
    must_be(store, &bytes, "a blob written again after deletion").await?;
    remove(store, &digest).await?;
    remove(store, &other_digest).await
}

pub(super) async fn deleting_does_not_disturb_readers(store: &dyn Store) -> Verdict {
    let bytes = unique_bytes(3 << 20);
    let digest = write(store, &bytes).await?;
    let mut stream = store.read_blob(&digest).await.promised("reading a blob")?;
    let mut whole = match stream.next().await {
        Some(piece) => piece.promised("the first piece of a blob")?.to_vec(),
        None => return Err(Violation("a blob of 3 MiB must have a first piece".into())),
    };
    remove(store, &digest).await?;
    while let Some(piece) = stream.next().await {
        whole.extend_from_slice(&piece.promised("each piece of a blob deleted while it is read")?);
    }
    rule(bytes == whole, || {
        "a reader must get the whole blob though it is deleted meanwhile".into()
    })
}

pub(super) async fn readers_go_at_their_own_pace(store: &dyn Store) -> Verdict {
    let bytes = unique_bytes(3 << 20);
    let digest = write(store, &bytes).await?;
    let mut slow = store.read_blob(&digest).await.promised("reading a blob")?;
    let first = slow.next().await;
    let quick = store.read_blob(&digest).await.promised("reading a blob that another reads")?;
    let quick = collect(quick).await.promised("reading a blob that another has begun to read")?;
    rule(quick == bytes, || {
        "a reader must get the whole blob while another has stopped in its middle".into()
    })?;
    drop((first, slow));
    must_be(store, &bytes, "after a reader gave up in the middle").await?;
    remove(store, &digest).await
}

pub(super) async fn dropped_write_stores_nothing(store: &dyn Store) -> Verdict {
    let bytes = unique_bytes(200_000);
    let digest = Digest::of(&bytes);
    let (asked, stuck) = oneshot::channel();
    let mut asked = Some(asked);
    let end = futures::stream::poll_fn(move |_| {
        // All but the last piece were taken.
        let _ = asked.take().map(|asked| asked.send(()));
        Poll::Pending
    });
    let most = pieces(&bytes.slice(..150_000), &[50_000]).chain(end).boxed();
    match select(store.write_blob(&digest, 200_000, most), stuck).await {
        Either::Left((result, _)) => {
            return Err(Violation(format!(
                "write_blob must wait for a stream that has not ended, not give {result:?}"
            )));
        }
        Either::Right((_, write)) => drop(write),
    }
    must_be_absent(store, &digest, "after a write was dropped in its middle").await?;
    write(store, &bytes).await?;
    must_be(store, &bytes, "a blob written after a write of it was dropped").await?;
    remove(store, &digest).await
}

pub(super) async fn records_and_blobs_do_not_mix(store: &dyn Store) -> Verdict {
    let bytes = unique_bytes(100);
    let digest = write(store, &bytes).await?;
    let key = RecipeKey(digest);
    let found = store.get_record(&key).await.promised("getting a record")?;
    rule(found.is_none(), || "a blob must not be found as a record".into())?;
    put(store, &key, &unique_bytes(10), Expected::Absent).await?;
    must_be(store, &bytes, "a blob whose digest is also a record's key").await?;
    delete(store, &key).await?;
    must_be(store, &bytes, "a blob after the record of the same name was deleted").await?;
    remove(store, &digest).await
}

fn must_refuse(result: &Result<(), StoreError>, what: &str) -> Verdict {
    rule(matches!(result, Err(StoreError::Refused(_))), || {
        format!("write_blob of {what} must fail with Refused, not give {result:?}")
    })
}
