//! Formulas that a program exported as text instead of their results.

/// Returns the cell if it is a formula.
pub(super) fn find_formula(cell: &str) -> Option<String> {
    let formula = cell.strip_prefix("of:").unwrap_or(cell);
    let is_formula = match formula.chars().next()? {
        '=' => is_expression(formula[1..].trim_start()),
        '+' => is_reference_sum(&formula[1..]),
        '@' => is_call(&formula[1..]) && formula.ends_with(')'),
        _ => false,
    };
    is_formula.then(|| cell.to_owned())
}

/// Recognizes what can follow `=`: a call, a reference, a text, a number, a list.
fn is_expression(rest: &str) -> bool {
    let rest = rest.trim_start_matches(['-', '+', '(', '$']);
    let Some(first) = rest.chars().next() else { return false };
    match first {
        '"' => rest.len() > 1 && rest[1..].contains('"'),
        '\'' => rest.contains("'!"),
        '{' => rest.ends_with('}'),
        '[' => rest.contains(']'),
        _ if first.is_ascii_digit() => rest.contains(['+', '-', '*', '/', '^', '&']),
        _ => is_call(rest) || starts_with_reference(rest) || is_worksheet_reference(rest),
    }
}

/// A function name and its bracket: `SUM(`, `_xlfn.CONCAT(`, `СУММ(`.
fn is_call(rest: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '.' || c == '_';
    rest.split_once('(').is_some_and(|(name, _)| !name.is_empty() && name.chars().all(is_name))
}

/// `A1`, `$B$2`, `AA10`, followed by nothing or an operator.
fn starts_with_reference(rest: &str) -> bool {
    reference_end(rest).is_some_and(|end| {
        let next = rest[end..].trim_start();
        next.is_empty()
            || next
                .starts_with(['+', '-', '*', '/', '^', '&', ':', ';', ',', '<', '>', '=', ')', '%'])
    })
}

fn reference_end(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let span = |from: usize, accepts: fn(&u8) -> bool| {
        bytes.iter().skip(from).take_while(|byte| accepts(byte)).count()
    };
    let letters_from = usize::from(bytes.first() == Some(&b'$'));
    let letters = span(letters_from, u8::is_ascii_uppercase);
    let mut digits_from = letters_from + letters;
    digits_from += usize::from(bytes.get(digits_from) == Some(&b'$'));
    let digits = span(digits_from, u8::is_ascii_digit);
    let is_reference = (1..=3).contains(&letters) && (1..=7).contains(&digits);
    is_reference.then_some(digits_from + digits)
}

/// `Sheet1!A1`.
fn is_worksheet_reference(rest: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    rest.split_once('!').is_some_and(|(name, cell)| {
        !name.is_empty() && name.chars().all(is_name) && starts_with_reference(cell)
    })
}

/// `A1`, `B2+C3`: a plus sign before text is common, one before a reference is not.
fn is_reference_sum(rest: &str) -> bool {
    is_call(rest) && rest.ends_with(')')
        || rest
            .split(['+', '-', '*', '/'])
            .all(|part| reference_end(part.trim()) == Some(part.trim().len()))
}
