//! Where one HTTP/1.1 request ends and the next begins on a connection (RFC 9112, sections 6 and 7).

/// Counts requests in the bytes that a client sends.
#[derive(Default)]
pub(super) struct Requests {
    state: State,
    head: Vec<u8>,
}

#[derive(Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// A chunked body: its end is an empty chunk.
    Chunks(Vec<u8>),
}

const HEAD_END: &[u8] = b"\r\n\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

impl Requests {
    /// Takes the next bytes; how many requests ended their head in them.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> u64 {
        let mut heads = 0;
        while let Some((first, rest)) = bytes.split_first() {
            match &mut self.state {
                State::Head => {
                    self.head.push(*first);
                    bytes = rest;
                    if self.head.ends_with(HEAD_END) {
                        heads += 1;
                        self.state = body(&String::from_utf8_lossy(&self.head));
                        self.head.clear();
                    }
                }
                State::Body(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[here..];
                    *left -= here as u64;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                }
                State::Chunks(end) => {
                    end.push(*first);
                    bytes = rest;
                    let over = end.len().saturating_sub(LAST_CHUNK.len());
                    end.drain(..over);
                    if end == LAST_CHUNK {
                        self.state = State::Head;
                    }
                }
            }
        }
        heads
    }
}

fn body(head: &str) -> State {
    let field = |name: &str| {
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    if field("transfer-encoding").is_some_and(|value| value.ends_with("chunked")) {
        return State::Chunks(Vec::new());
    }
    match field("content-length").and_then(|value| value.parse().ok()) {
        None | Some(0) => State::Head,
        Some(length) => State::Body(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n\
        PUT /b HTTP/1.1\r\nContent-Length: 30\r\n\r\nGET /no HTTP/1.1\r\nHost: h\r\n\r\n..\
        PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
        HEAD /d HTTP/1.1\r\n\r\n";

    #[test]
    fn requests_are_counted_however_the_bytes_come() {
        for size in [1, 2, 7, 64, TEXT.len()] {
            let mut requests = Requests::default();
            let count: u64 = TEXT.chunks(size).map(|piece| requests.take(piece)).sum();
            assert_eq!(count, 4, "in pieces of {size}");
        }
    }
}
