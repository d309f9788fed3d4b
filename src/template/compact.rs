//! Leaves out the white space between a template's JSON tokens.
//!
//! Templates are written for people, with half of their bytes indentation. Payloads are stored and
//! sent by the thousand, so the copy that is rendered for them has none. It also keeps a job's
//! content, and with it the promise not to render twice, independent of how a template is laid out.
//!
//! Nothing inside quotes is touched, and white space goes only where one side is a bracket, comma
//! or colon: elsewhere it may be what keeps two numbers apart, and a slip must stay a slip.

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
                let (shorter, after) = strip_space(text, quote);
                (*text, quote) = (shorter, after);
            }
            TemplateElement::HelperBlock(block) => {
                let then = block.template.as_mut().map(|inner| compact_part(inner, quote));
                let otherwise = block.inverse.as_mut().map(|inner| compact_part(inner, quote));
                // The check has seen to it that both ends are the same.
                quote = then.or(otherwise).unwrap_or(quote);
            }
            // Tags leave the quotes as they are.
            _ => {}
        }
    }
    quote
}

fn strip_space(text: &str, start: JsonQuoteState) -> (String, JsonQuoteState) {
    let mut quote = start;
    let mut shorter = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if quote != JsonQuoteState::Outside || !is_json_space(character) {
            quote = quote.after(character);
            shorter.push(character);
            continue;
        }
        while characters.next_if(|&next| is_json_space(next)).is_some() {}
        let parts_tokens = |neighbour: Option<char>| {
            neighbour
                .is_some_and(|neighbour| matches!(neighbour, '{' | '}' | '[' | ']' | ',' | ':'))
        };
        if !parts_tokens(shorter.chars().next_back()) && !parts_tokens(characters.peek().copied()) {
            shorter.push(' ');
        }
    }
    (shorter, quote)
}

/// What JSON calls white space. A no-break space is a mistake there, and must stay one.
fn is_json_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use crate::template::compact::*;

    #[test]
    fn only_space_beside_punctuation_goes() {
        for (text, shorter) in [
            ("{\n  \"a b\" : [ 1 , 2 ]\n}\n", r#"{"a b":[1,2]}"#),
            ("[1 2,\n\"x\\\" :\" \t3 ]", "[1 2,\"x\\\" :\" 3]"),
            (" 5 ", " 5 "),
            ("\u{a0}{ }", "\u{a0}{}"),
        ] {
            assert_eq!(strip_space(text, JsonQuoteState::Outside).0, shorter, "{text}");
        }
        assert_eq!(
            strip_space(" a \" : ", JsonQuoteState::Inside),
            (" a \":".to_owned(), JsonQuoteState::Outside)
        );
    }
}
