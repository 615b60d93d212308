//! Answers of web and TLS servers, which wait until the client sends a line.

const HTTP_BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

const HTTP_OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A fatal TLS alert, `unexpected_message`, in a record of TLS 1.2 (RFC 5246, sections 6.2.1 and
/// 7.2).
pub(super) const TLS_ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02\x0a";

/// Answers an HTTP request line with 200 and any other line with 400.
pub(super) fn http_answer(line: &[u8]) -> &'static [u8] {
    let mut words = line.trim_ascii().split(|&byte| byte == b' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(_method), Some(_path), Some(b"HTTP/1.0" | b"HTTP/1.1"), None) => HTTP_OK,
        _ => HTTP_BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_answers_requests_with_200_and_other_lines_with_400() {
        assert_eq!(http_answer(b"GET / HTTP/1.1\r\n"), HTTP_OK);
        for line in [&b"\r\n"[..], b"\n", b"SSH-2.0-x\r\n", b"GET /\r\n", b"a b HTTP/1.1 c\n"] {
            assert_eq!(http_answer(line), HTTP_BAD_REQUEST, "{line:?}");
        }
    }
}
