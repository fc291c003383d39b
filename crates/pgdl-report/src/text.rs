//! Bytes of a file as text.

/// The text of `bytes`, without a leading byte order mark.
///
/// # Errors
/// When the bytes are not UTF-8: a sentence that says where.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("is UTF-16, but must be UTF-8".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        format!("is not UTF-8: byte {} (line {line})", error.valid_up_to())
    })
}

/// The letter itself, or a mark in place of one that pages must not hold (control characters) or that would turn the
/// direction of the text around it.
pub(crate) fn visible(letter: char) -> char {
    let turns = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}');
    let control = letter.is_control() && !matches!(letter, '\n' | '\t');
    if control || turns { '\u{fffd}' } else { letter }
}
