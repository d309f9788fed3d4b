//! Asks, of each address that a payload names, whether something is there.
//!
//! AI Studios fetches pictures and sounds itself, long after it was paid. Here only a first look is
//! taken: HEAD, or the first byte where a server knows no HEAD. No credentials go along, redirects
//! are followed by hand, and only to addresses that a download may go to as well.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::{Method, Response, StatusCode, header};
use url::Url;

use crate::aistudios::settings::ClientSetupError;
use crate::http::address_policy::{AddressError, AddressPolicy, PrivateAddressError};
use crate::http::transport;

/// How long one address may take, redirects included.
const MEDIA_CHECK_TIMEOUT: Duration = Duration::from_secs(15);
/// Addresses that are asked at once.
const MEDIA_CHECKS_AT_ONCE: usize = 8;
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 3;

/// What was found at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaAvailability {
    /// Something that can be fetched.
    Available,
    /// Nothing that AI Studios could use, in words.
    Unavailable(String),
    /// Nobody can say: the server is slow or in trouble.
    Undetermined(String),
}

/// Asks for each address once, and returns the answers in the order in which they come; those that
/// came `within` that time. `base_url` decides what may be reached: a rehearsal's media may lie on
/// this machine.
///
/// # Errors
/// No HTTPS client can be made on this machine.
pub async fn check_media_urls(
    base_url: &Url,
    addresses: Vec<String>,
    within: Duration,
) -> Result<Vec<(String, MediaAvailability)>, ClientSetupError> {
    let (client, reach) = transport::build_media_client(base_url)?;
    let asked = addresses.into_iter().map(|address| {
        let client = &client;
        async move {
            let asked =
                tokio::time::timeout(MEDIA_CHECK_TIMEOUT, check_media_url(client, reach, &address))
                    .await;
            let late = || {
                MediaAvailability::Undetermined(format!(
                    "no answer within {} s",
                    MEDIA_CHECK_TIMEOUT.as_secs()
                ))
            };
            (address, asked.unwrap_or_else(|_elapsed| late()))
        }
    });
    let over = tokio::time::sleep(within);
    Ok(stream::iter(asked).buffer_unordered(MEDIA_CHECKS_AT_ONCE).take_until(over).collect().await)
}

async fn check_media_url(
    client: &reqwest::Client,
    reach: AddressPolicy,
    address: &str,
) -> MediaAvailability {
    let Ok(mut url) = Url::parse(address) else {
        return MediaAvailability::Unavailable("this is no address".to_owned());
    };
    let mut method = Method::HEAD;
    let mut redirects = 0;
    loop {
        if let Err(unfit) = reach.check_url(&url) {
            return MediaAvailability::Unavailable(match unfit {
                AddressError::UnsupportedUrl => "this is no address that can be fetched".to_owned(),
                AddressError::PrivateAddress => PRIVATE_ADDRESS_MESSAGE.to_owned(),
            });
        }
        let answer = match send_media_request(client, &method, &url).await {
            Ok(answer) => answer,
            Err(found) => return found,
        };
        let status = answer.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            redirects += 1;
            let next = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            match next.and_then(|next| url.join(next).ok()) {
                Some(next) if redirects <= REDIRECTS_MAX => url = next,
                _ => return MediaAvailability::Unavailable("it leads on and on".to_owned()),
            }
        } else if method == Method::HEAD && !status.is_success() {
            // Signed links and small servers often know GET alone.
            method = Method::GET;
        } else {
            return classify_media_response(&answer);
        }
    }
}

const PRIVATE_ADDRESS_MESSAGE: &str =
    "it leads into a private network, where AI Studios cannot get it";

async fn send_media_request(
    client: &reqwest::Client,
    method: &Method,
    url: &Url,
) -> Result<Response, MediaAvailability> {
    let mut request = client.request(method.clone(), url.clone());
    if *method == Method::GET {
        request = request.header(header::RANGE, "bytes=0-0");
    }
    request.send().await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(inner) = cause {
            if inner.is::<PrivateAddressError>() {
                return MediaAvailability::Unavailable(PRIVATE_ADDRESS_MESSAGE.to_owned());
            }
            cause = inner.source();
        }
        MediaAvailability::Undetermined("its server cannot be reached".to_owned())
    })
}

fn classify_media_response(answer: &Response) -> MediaAvailability {
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_page = kind.is_some_and(|kind| kind.trim_start().starts_with("text/html"));
    match status.as_u16() {
        200..=299 if is_page => MediaAvailability::Unavailable(
            "it is a web page, not a picture, film or sound".to_owned(),
        ),
        200..=299 => MediaAvailability::Available,
        429 | 500..=599 => {
            MediaAvailability::Undetermined(format!("its server answers {}", status.as_u16()))
        }
        code => MediaAvailability::Unavailable(format!("its server answers {code}")),
    }
}

#[cfg(test)]
mod tests {
    use crate::http::media::*;

    #[tokio::test]
    async fn a_look_ends_in_time_and_keeps_what_it_has_heard() {
        // It takes connections and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let base = format!("http://{}", silent.local_addr().expect("it is bound"));
        let base_url = Url::parse(&base).expect("it is an address");
        let asked = vec!["no address".to_owned(), format!("{base}/a"), format!("{base}/b")];
        let within = Duration::from_millis(50);
        let found = check_media_urls(&base_url, asked, within).await.expect("a client can be made");
        let absent = MediaAvailability::Unavailable("this is no address".to_owned());
        assert_eq!(found, [("no address".to_owned(), absent)]);
    }
}
