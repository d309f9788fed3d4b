//! Removes the white space between a template's JSON tokens.
//!
//! Half of a template is indentation for its author. Payloads are stored and sent by the thousand, so
//! they are rendered from a copy without it. Therefore the hash of a payload, and with it the promise
//! not to render twice, does not depend on the layout of the template.
//!
//! Text inside quotes stays untouched. White space is removed only beside a bracket, comma or colon:
//! elsewhere it may separate two numbers, and a mistake must stay a mistake.

use handlebars::template::TemplateElement;

use crate::template::quotes::JsonQuoteState;

/// Returns a compact copy of a template whose quotes have been checked.
pub(crate) fn compact_template(template: &handlebars::Template) -> handlebars::Template {
    let mut copy = template.clone();
    compact_part(&mut copy, JsonQuoteState::Outside);
    copy
}

fn compact_part(template: &mut handlebars::Template, start: JsonQuoteState) -> JsonQuoteState {
    let mut quote = start;
    for element in &mut template.elements {
        match element {
            TemplateElement::RawString(text) => {
                let (compact, after) = strip_space(text, quote);
                (*text, quote) = (compact, after);
            }
            TemplateElement::HelperBlock(block) => {
                let then = block.template.as_mut().map(|inner| compact_part(inner, quote));
                let otherwise = block.inverse.as_mut().map(|inner| compact_part(inner, quote));
                // `quotes` has checked that both branches end in the same state.
                quote = then.or(otherwise).unwrap_or(quote);
            }
            // Tags do not change the state.
            _ => {}
        }
    }
    quote
}

fn strip_space(text: &str, start: JsonQuoteState) -> (String, JsonQuoteState) {
    let mut quote = start;
    let mut compact = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if quote != JsonQuoteState::Outside || !is_json_space(character) {
            quote = quote.after(character);
            compact.push(character);
            continue;
        }
        while characters.next_if(|&next| is_json_space(next)).is_some() {}
        let separates_tokens = |neighbour: Option<char>| {
            neighbour
                .is_some_and(|neighbour| matches!(neighbour, '{' | '}' | '[' | ']' | ',' | ':'))
        };
        if !separates_tokens(compact.chars().next_back())
            && !separates_tokens(characters.peek().copied())
        {
            compact.push(' ');
        }
    }
    (compact, quote)
}

/// Checks for white space as JSON defines it. A no-break space is a mistake, and must stay one.
fn is_json_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use crate::template::compact::*;

    #[test]
    fn only_space_beside_punctuation_is_removed() {
        for (text, compact) in [
            ("{\n  \"a b\" : [ 1 , 2 ]\n}\n", r#"{"a b":[1,2]}"#),
            ("[1 2,\n\"x\\\" :\" \t3 ]", "[1 2,\"x\\\" :\" 3]"),
            (" 5 ", " 5 "),
            ("\u{a0}{ }", "\u{a0}{}"),
        ] {
            assert_eq!(strip_space(text, JsonQuoteState::Outside).0, compact, "{text}");
        }
        assert_eq!(
            strip_space(" a \" : ", JsonQuoteState::Inside),
            (" a \":".to_owned(), JsonQuoteState::Outside)
        );
    }
}
