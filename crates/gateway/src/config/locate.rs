//! Where a field stands in a YAML text.

/// The line, from 1, of the innermost part of `field` that the text spells out: `backends[shop/shop:80].health` is
/// looked for as the key `backends`, in its block as `shop/shop:80`, in that block as `health`. Parts that are not
/// spelled out are passed over. `None` if none is.
///
/// It reads indentation and colons, no YAML: good enough to send a person to the right place, and the field is
/// named beside it.
pub(super) fn line(text: &str, field: &str) -> Option<u64> {
    let mut block: Vec<(u64, &str)> = (1..).zip(text.lines()).collect();
    let mut found = None;
    for key in keys(field) {
        let Some(at) = block.iter().position(|(_, line)| has_key(line, key)) else {
            continue;
        };
        let (number, line) = block[at];
        found = Some(number);
        // The line itself may hold the next key, too.
        let mut inside = block.split_off(at);
        let length = inside[1..]
            .iter()
            .position(|(_, next)| ends(indent(line), next));
        inside.truncate(1 + length.unwrap_or(inside.len()));
        block = inside;
    }
    found
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether `line` is behind the block of a key with this indentation. Items of a list may stand as far left as
/// their key.
fn ends(block_indent: usize, line: &str) -> bool {
    let text = line.trim_start();
    !text.is_empty() && !text.starts_with(['#', '-']) && indent(line) <= block_indent
}

/// The parts between dots and blanks, and those inside brackets, which may hold dots.
fn keys(field: &str) -> impl Iterator<Item = &str> {
    let parts = field.split(['[', ']']).enumerate();
    let split = parts.flat_map(|(at, part)| {
        let inside = at % 2 == 1;
        let separators: &[char] = if inside { &[] } else { &['.', ' '] };
        part.split(separators)
    });
    split.filter(|key| !key.is_empty())
}

/// Whether `key` stands in the line as a key: bare or in quotes, with a colon behind it.
fn has_key(line: &str, key: &str) -> bool {
    line.match_indices(key).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + key.len()..].trim_start_matches(['"', '\'']);
        let starts = before.is_none_or(|c| matches!(c, ' ' | '{' | ',' | '"' | '\'' | '-'));
        starts && after.starts_with(':')
    })
}
