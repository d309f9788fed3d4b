//! `/share/TOKEN`: review without an account, through a link that ends and can be revoked.
//!
//! The holder of the link sees the videos that it names, judges them under a typed name, and sees nothing
//! else of the console. Invariant: an unknown, expired or revoked token, and a video that the link does
//! not name, are answered alike; a guest takes back no verdict but their own, and changes none of a user.

pub(in crate::console) mod share_links;

use axum::http::StatusCode;
use maud::html;
use serde_json::json;

use crate::console::assets::ConsoleLinks;
use crate::console::layout::{ConsolePage, page_document};
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::{PageFormat, PageRequest, json_response};
use crate::console::pages::review::judge;
use crate::console::pages::review::judge::JudgedVideo;
use crate::console::pages::review::review_items::ReviewFilter;
use crate::console::pages::review::review_source::ReviewSource;
use crate::console::pages::review::review_view::{GuestReviewer, ReviewSubject, ReviewView};
use crate::console::pages::video;
use crate::console::sign_in::secret::ConsoleSecret;
use crate::ledger::{ShareLink, StoredBatch, VerdictOrigin, VerdictSource};
use crate::session::review::review_json::{counts_json, item_json};
use crate::session::review::verdicts::{REVIEWER_CHARS_MAX, clean_text};

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let (link, batch) = find_link(&page).await?;
    let reviewer = page.query.get("name").and_then(|name| clean_text(name, REVIEWER_CHARS_MAX));
    let subject = share_subject(&page, &link, reviewer);
    let filter = ReviewFilter::from_query(&page.query);
    let view = ReviewView::read(&page.state.ledger, &batch, subject, filter).await?;
    if page.format == PageFormat::Json {
        let (earlier, later) = view.neighbour_addresses();
        let document = json!({
            "label": link.label,
            "counts": counts_json(&view.counts),
            "videos": view.shown_items().iter().map(item_json).collect::<Vec<_>>(),
            "earlier": earlier,
            "later": later,
        });
        return Ok(json_response(StatusCode::OK, &document));
    }
    let main = html! {
        div .title .shared { h1 { (link.label) } span .muted { "Videos to review" } }
        (view.render())
    };
    let content = ConsolePage { title: link.label.clone(), section: "", is_live: false, main };
    Ok(page_document(&page.state, None, content))
}

/// Records a verdict under the typed name, and shows the next video.
pub(in crate::console) async fn record_verdict(mut page: PageRequest) -> PageResult {
    let (link, batch) = find_link(&page).await?;
    let form = page.read_form().await?;
    let video = JudgedVideo::parse(&form)?;
    if !link.has_key(&video.key) {
        return Err(unknown_link());
    }
    let reviewer = form.get("name").and_then(|name| clean_text(name, REVIEWER_CHARS_MAX));
    let reviewer = reviewer
        .ok_or_else(|| PageError::Invalid("enter your name, so that others know it".to_owned()))?;
    let source = VerdictSource {
        reviewer: reviewer.clone(),
        origin: VerdictOrigin::Share,
        share_link: Some(link.id),
    };
    judge::record(&page.state, &batch, &video, source).await?;
    let source = ReviewSource::open(&page.state.ledger, batch.id, link.keys.as_deref()).await?;
    let subject = share_subject(&page, &link, Some(reviewer));
    let next = subject.address_after(&source, &video, &form).await?;
    page.redirect(&next)
}

/// Sends a video that the link names.
pub(in crate::console) async fn send_video(page: PageRequest) -> PageResult {
    let (link, batch) = find_link(&page).await?;
    let key = page.param("key");
    let item = page.state.ledger.review_item(batch.id, key).await?;
    let item = item.filter(|item| link.has_key(&item.key)).ok_or_else(unknown_link)?;
    video::send_file(&page.headers, &batch, &item.video_file).await
}

/// What is answered where nothing is shown.
fn unknown_link() -> PageError {
    PageError::LinkEnded
}

/// Returns the link of the address with its batch.
async fn find_link(page: &PageRequest) -> Result<(ShareLink, StoredBatch), PageError> {
    let secret = ConsoleSecret::parse(page.param("token")).ok_or_else(unknown_link)?;
    let link = page.state.ledger.live_share_link(&secret.hash_text(), page.state.now()).await?;
    let link = link.ok_or_else(unknown_link)?;
    let batch = page.state.ledger.batch(&link.batch_name).await?;
    Ok((link, batch))
}

fn share_subject(page: &PageRequest, link: &ShareLink, reviewer: Option<String>) -> ReviewSubject {
    let address = page.links().to(&format!("/share/{}", page.param("token")));
    let videos = address.clone();
    ReviewSubject {
        address,
        exports: None,
        share: None,
        is_judge: true,
        guest: Some(GuestReviewer {
            name: reviewer.unwrap_or_default(),
            label: link.label.clone(),
        }),
        is_rehearsal: page.is_rehearsal(),
        keys: link.keys.clone(),
        video: Box::new(move |item| {
            // With the version, a browser never shows a kept video for a new one.
            let key = ConsoleLinks::encode_segment(&item.key);
            format!("{videos}/videos/{key}?version={}", item.version)
        }),
    }
}
