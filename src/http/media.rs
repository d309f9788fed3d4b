//! A check of media URLs before AI Studios requests them.
//!
//! AI Studios fetches images and sounds itself, long after it was paid. This is only a first check:
//! HEAD, or the first byte where a server does not support HEAD. No credentials are sent; redirects
//! are followed by hand, and only to addresses that a download may use as well.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::{Method, Response, StatusCode, header};
use url::Url;

use super::address_policy::{AddressError, AddressPolicy, GuardedResolver};
use super::transport::{self, ConnectOptions, ProxyMode, TlsSetupError};

/// The time for one address, including redirects.
const MEDIA_CHECK_TIMEOUT: Duration = Duration::from_secs(15);
/// Name resolution, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses that are checked concurrently.
const MEDIA_CHECKS_AT_ONCE: usize = 8;
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 3;
/// The finding for an address without encryption, where that is required.
const PLAIN_HTTP_MESSAGE: &str = "this URL is not https";
/// The finding for an address that only this network can reach.
const PRIVATE_ADDRESS_MESSAGE: &str =
    "it leads into a private network, which AI Studios cannot reach";

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaAvailability {
    /// The file can be fetched.
    Available,
    /// There is nothing that AI Studios could use, for this reason.
    Unavailable(String),
    /// Not known, because the server is slow or fails.
    Undetermined(String),
}

/// Checks each address once and returns the results in the order of arrival, as far as they arrive
/// `within` that time. `base_url` decides which addresses may be requested: media of a rehearsal may
/// be on this machine.
///
/// # Errors
/// This machine cannot create a TLS client.
pub async fn check_media_urls(
    base_url: &Url,
    addresses: Vec<String>,
    within: Duration,
) -> Result<Vec<(String, MediaAvailability)>, TlsSetupError> {
    let checker = MediaChecker::new(AddressPolicy::for_origin(base_url))?;
    let checks = addresses.into_iter().map(|address| {
        let checker = &checker;
        async move {
            let check = tokio::time::timeout(MEDIA_CHECK_TIMEOUT, checker.check(&address)).await;
            let late = || {
                let seconds = MEDIA_CHECK_TIMEOUT.as_secs();
                MediaAvailability::Undetermined(format!("no response within {seconds} s"))
            };
            (address, check.unwrap_or_else(|_elapsed| late()))
        }
    });
    let deadline = tokio::time::sleep(within);
    let results = stream::iter(checks).buffer_unordered(MEDIA_CHECKS_AT_ONCE);
    Ok(results.take_until(deadline).collect().await)
}

struct MediaChecker {
    client: reqwest::Client,
    policy: AddressPolicy,
}

impl MediaChecker {
    fn new(policy: AddressPolicy) -> Result<Self, TlsSetupError> {
        let options =
            ConnectOptions { connect_timeout: CONNECT_TIMEOUT, proxy: ProxyMode::default() };
        let client = transport::build_client(&options, |builder| {
            builder.dns_resolver(GuardedResolver(policy))
        })?;
        Ok(Self { client, policy })
    }

    async fn check(&self, address: &str) -> MediaAvailability {
        let Ok(mut url) = Url::parse(address) else {
            return MediaAvailability::Unavailable("this is not a URL".to_owned());
        };
        let mut method = Method::HEAD;
        let mut redirects = 0;
        loop {
            if let Err(error) = self.policy.check_url(&url) {
                return MediaAvailability::Unavailable(match error {
                    AddressError::UnsupportedUrl => "this URL cannot be fetched".to_owned(),
                    AddressError::PrivateAddress => PRIVATE_ADDRESS_MESSAGE.to_owned(),
                    // Media may be plain: AI Studios itself requests them.
                    AddressError::PlainHttp => PLAIN_HTTP_MESSAGE.to_owned(),
                });
            }
            let response = match self.send(&method, &url).await {
                Ok(response) => response,
                Err(result) => return result,
            };
            let status = response.status();
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                redirects += 1;
                let next = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
                match next.and_then(|next| url.join(next).ok()) {
                    Some(next) if redirects <= REDIRECTS_MAX => url = next,
                    _ => return MediaAvailability::Unavailable("too many redirects".to_owned()),
                }
            } else if method == Method::HEAD && !status.is_success() {
                // Signed links and small servers often support GET only.
                method = Method::GET;
            } else {
                return classify_media_response(&response);
            }
        }
    }

    async fn send(&self, method: &Method, url: &Url) -> Result<Response, MediaAvailability> {
        let mut request = self.client.request(method.clone(), url.clone());
        if *method == Method::GET {
            request = request.header(header::RANGE, "bytes=0-0");
        }
        request.send().await.map_err(|error| {
            if transport::is_private_address_error(&error) {
                MediaAvailability::Unavailable(PRIVATE_ADDRESS_MESSAGE.to_owned())
            } else {
                MediaAvailability::Undetermined("its server cannot be reached".to_owned())
            }
        })
    }
}

fn classify_media_response(response: &Response) -> MediaAvailability {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let is_page = content_type.is_some_and(|value| value.trim_start().starts_with("text/html"));
    match response.status().as_u16() {
        200..=299 if is_page => MediaAvailability::Unavailable(
            "it is a web page, not an image, video or sound".to_owned(),
        ),
        200..=299 => MediaAvailability::Available,
        code @ (429 | 500..=599) => {
            MediaAvailability::Undetermined(format!("its server responds with HTTP {code}"))
        }
        code => MediaAvailability::Unavailable(format!("its server responds with HTTP {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_check_ends_in_time_and_returns_the_results_so_far() {
        // It accepts connections and never responds.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", silent.local_addr().unwrap());
        let base_url = Url::parse(&base).unwrap();
        let addresses = vec!["no address".to_owned(), format!("{base}/a"), format!("{base}/b")];
        let within = Duration::from_millis(50);
        let results = check_media_urls(&base_url, addresses, within).await.unwrap();
        let absent = MediaAvailability::Unavailable("this is not a URL".to_owned());
        assert_eq!(results, [("no address".to_owned(), absent)]);
    }
}
