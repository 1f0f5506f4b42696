//! One request, to the server and back, with a fault.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::{Counts, Fault, Head};

/// Bytes that are passed on at a time.
const PIECE: usize = 16 << 10;

pub(super) async fn run(
    client: impl AsyncRead + AsyncWrite + Unpin,
    mut request: Head,
    upstream: &str,
    fault: Fault,
    counts: &Counts,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    match fault {
        Fault::Latency(time) => sleep(time).await,
        Fault::Reset => {
            // What is unread when a socket closes makes its system send a reset.
            return Ok(());
        }
        Fault::Hang => {
            return drain(&mut from_client).await;
        }
        Fault::Answer(status, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            to_client.write_all(format!("{head}{body}").as_bytes()).await?;
            to_client.shutdown().await?;
            // A client that still sends would be told by a reset, which can overtake the answer.
            return drain(&mut from_client).await;
        }
        _ => {}
    }
    let server = upstream.parse().map_err(io::Error::other)?;
    let (mut from_server, mut to_server) =
        super::small_socket()?.connect(server).await?.into_split();
    request.set("Connection", "close");
    to_server.write_all(&request.bytes()).await?;
    let up = async {
        pass(&request.body, &mut to_server, &counts.up).await?;
        copy(&mut from_client, &mut to_server, &counts.up).await
    };
    let down = answer(&mut from_server, &mut to_client, fault, counts);
    tokio::select! {
        // The client is done sending, or gone; the answer may still be on its way.
        result = up => { result?; Ok(()) }
        result = down => result,
    }
}

async fn answer(
    server: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
    mut fault: Fault,
    counts: &Counts,
) -> io::Result<()> {
    let count = &counts.down;
    let Some(mut head) = Head::read(server).await? else { return Ok(()) };
    head.set("Connection", "close");
    if matches!(fault, Fault::Flip(_)) && !head.says_yes() {
        // An error is one whatever it says.
        fault = Fault::None;
    }
    let mut left = usize::MAX;
    match fault {
        Fault::Shorten(length) if head.get("Content-Length").is_some() => {
            head.set("Content-Length", &length.to_string());
            left = length;
        }
        Fault::Truncate(length) => left = length,
        _ => {}
    }
    pass(&head.bytes(), client, count).await?;
    let (mut at, mut piece) = (0, std::mem::take(&mut head.body));
    loop {
        if let Fault::Flip(wanted) = fault
            && let Some(byte) = wanted.checked_sub(at).and_then(|index| piece.get_mut(index))
        {
            *byte ^= 1;
            counts.struck.fetch_add(1, Ordering::SeqCst);
        }
        at += piece.len();
        piece.truncate(left);
        left -= piece.len();
        pass(&piece, client, count).await?;
        if left == 0 {
            return client.shutdown().await;
        }
        if let Fault::Throttle(rate) = fault {
            sleep(
                Duration::from_secs(1) * u32::try_from(piece.len()).unwrap_or(u32::MAX)
                    / u32::try_from(rate.max(1)).unwrap_or(u32::MAX),
            )
            .await;
        }
        piece = vec![0; PIECE];
        let length = server.read(&mut piece).await?;
        piece.truncate(length);
        if length == 0 {
            return client.shutdown().await;
        }
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    count: &AtomicU64,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        pass(&piece[..length], to, count).await?;
    }
}

async fn pass(
    bytes: &[u8],
    to: &mut (impl AsyncWrite + Unpin),
    count: &AtomicU64,
) -> io::Result<()> {
    to.write_all(bytes).await?;
    count.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    Ok(())
}

/// Reads until the client gives up.
async fn drain(client: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut sink = vec![0; PIECE];
    while client.read(&mut sink).await? > 0 {}
    Ok(())
}
