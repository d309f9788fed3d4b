//! Asks, of each address that a payload names, whether something is there.
//!
//! AI Studios fetches pictures and sounds itself, long after it was paid. Here only a first look is
//! taken: HEAD, or the first byte where a server knows no HEAD. No credentials go along, redirects
//! are followed by hand, and only to addresses that a download may go to as well.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::{Method, Response, StatusCode, header};
use url::Url;

use super::{
    guard::{OutOfBounds, Reach, Unfit},
    settings::SetupError,
    transport,
};

/// How long one address may take, redirects included.
const PATIENCE: Duration = Duration::from_secs(15);
/// Addresses that are asked at once.
const AT_ONCE: usize = 8;
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 3;

/// What was found at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Something that can be fetched.
    There,
    /// Nothing that AI Studios could use, in words.
    Absent(String),
    /// Nobody can say: the server is slow or in trouble.
    Unclear(String),
}

/// Asks for each address once, and returns the answers in the order in which they come; those that
/// came `within` that time. `base_url` decides what may be reached: a rehearsal's media may lie on
/// this machine.
///
/// # Errors
/// No HTTPS client can be made on this machine.
pub async fn look_for_media(
    base_url: &Url,
    addresses: Vec<String>,
    within: Duration,
) -> Result<Vec<(String, Found)>, SetupError> {
    let (client, reach) = transport::scout(base_url)?;
    let asked = addresses.into_iter().map(|address| {
        let client = &client;
        async move {
            let asked = tokio::time::timeout(PATIENCE, look(client, reach, &address)).await;
            let late = || Found::Unclear(format!("no answer within {} s", PATIENCE.as_secs()));
            (address, asked.unwrap_or_else(|_elapsed| late()))
        }
    });
    let over = tokio::time::sleep(within);
    Ok(stream::iter(asked).buffer_unordered(AT_ONCE).take_until(over).collect().await)
}

async fn look(client: &reqwest::Client, reach: Reach, address: &str) -> Found {
    let Ok(mut url) = Url::parse(address) else {
        return Found::Absent("this is no address".to_owned());
    };
    let mut method = Method::HEAD;
    let mut redirects = 0;
    loop {
        if let Err(unfit) = reach.check(&url) {
            return Found::Absent(match unfit {
                Unfit::Address => "this is no address that can be fetched".to_owned(),
                Unfit::Private => PRIVATE.to_owned(),
            });
        }
        let answer = match ask(client, &method, &url).await {
            Ok(answer) => answer,
            Err(found) => return found,
        };
        let status = answer.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            redirects += 1;
            let next = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            match next.and_then(|next| url.join(next).ok()) {
                Some(next) if redirects <= REDIRECTS_MAX => url = next,
                _ => return Found::Absent("it leads on and on".to_owned()),
            }
        } else if method == Method::HEAD && !status.is_success() {
            // Signed links and small servers often know GET alone.
            method = Method::GET;
        } else {
            return judged(&answer);
        }
    }
}

const PRIVATE: &str = "it leads into a private network, where AI Studios cannot get it";

async fn ask(client: &reqwest::Client, method: &Method, url: &Url) -> Result<Response, Found> {
    let mut request = client.request(method.clone(), url.clone());
    if *method == Method::GET {
        request = request.header(header::RANGE, "bytes=0-0");
    }
    request.send().await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(inner) = cause {
            if inner.is::<OutOfBounds>() {
                return Found::Absent(PRIVATE.to_owned());
            }
            cause = inner.source();
        }
        Found::Unclear("its server cannot be reached".to_owned())
    })
}

fn judged(answer: &Response) -> Found {
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_page = kind.is_some_and(|kind| kind.trim_start().starts_with("text/html"));
    match status.as_u16() {
        200..=299 if is_page => {
            Found::Absent("it is a web page, not a picture, film or sound".to_owned())
        }
        200..=299 => Found::There,
        429 | 500..=599 => Found::Unclear(format!("its server answers {}", status.as_u16())),
        code => Found::Absent(format!("its server answers {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_ends_in_time_and_keeps_what_it_has_heard() {
        // It takes connections and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let base = format!("http://{}", silent.local_addr().expect("it is bound"));
        let base_url = Url::parse(&base).expect("it is an address");
        let asked = vec!["no address".to_owned(), format!("{base}/a"), format!("{base}/b")];
        let within = Duration::from_millis(50);
        let found = look_for_media(&base_url, asked, within).await.expect("a client can be made");
        let absent = Found::Absent("this is no address".to_owned());
        assert_eq!(found, [("no address".to_owned(), absent)]);
    }
}
