//! `/batches/NAME/review`: finished videos as a grid, or one at a time, with their verdicts.
//!
//! Every verdict is a form with the version and the digest that the reviewer saw. Invariant: a verdict
//! on a video that has changed since is refused, and no export contains a video that is not approved.

pub(in crate::console) mod exports;
mod grid;
pub(in crate::console) mod judge;
mod player;
pub(in crate::console) mod review_items;
pub(in crate::console) mod review_source;
pub(in crate::console) mod review_view;

use maud::html;
use serde_json::json;

use crate::console::assets::ConsoleLinks;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::batch::{BatchTab, batch_header};
use crate::console::pages::review::judge::JudgedVideo;
use crate::console::pages::review::review_items::ReviewFilter;
use crate::console::pages::review::review_source::ReviewSource;
use crate::console::pages::review::review_view::{ReviewSubject, ReviewView};
use crate::console::pages::video;
use crate::ledger::{ConsoleRole, StoredBatch, VerdictOrigin, VerdictSource};
use crate::session::review::review_json::{counts_json, item_json};

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let filter = ReviewFilter::from_query(&page.query);
    let subject = review_subject(&page, &batch);
    let view = ReviewView::read(&page.state.ledger, &batch, subject, filter).await?;
    let (earlier, later) = view.neighbour_addresses();
    let document = json!({
        "batch": view.batch_name,
        "counts": counts_json(&view.counts),
        "videos": view.shown_items().iter().map(item_json).collect::<Vec<_>>(),
        "earlier": earlier,
        "later": later,
    });
    let main = html! {
        (batch_header(&page, &view.batch_name, BatchTab::Review))
        (view.render())
    };
    let title = format!("Review of {}", view.batch_name);
    page.render(ConsolePage { title, section: "Batches", is_live: false, main }, document)
}

/// Records a verdict and shows the next video.
pub(in crate::console) async fn judge(mut page: PageRequest) -> PageResult {
    let form = page.read_form().await?;
    let video = JudgedVideo::parse(&form)?;
    let batch = page.batch().await?;
    let source = VerdictSource {
        reviewer: page.requester.name.clone(),
        origin: VerdictOrigin::Console,
        share_link: None,
    };
    judge::record(&page.state, &batch, &video, source).await?;
    let source = ReviewSource::open(&page.state.ledger, batch.id, None).await?;
    let next = review_subject(&page, &batch).address_after(&source, &video, &form).await?;
    page.redirect(&next)
}

/// Sends the video of a job's current version.
pub(in crate::console) async fn send_video(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let item = page.state.ledger.review_item(batch.id, page.param("key")).await?;
    let item = item.ok_or_else(|| PageError::NotFound("this row has no video".to_owned()))?;
    video::send_file(&page.headers, &batch, &item.video_file).await
}

fn review_subject(page: &PageRequest, batch: &StoredBatch) -> ReviewSubject {
    let links = page.links();
    let address = format!("{}/review", links.batch(&batch.name));
    let videos = address.clone();
    ReviewSubject {
        exports: Some(address.clone()),
        share: page
            .requester
            .has_role(ConsoleRole::Operator)
            .then(|| format!("{}/share", links.batch(&batch.name))),
        address,
        is_judge: page.requester.has_role(ConsoleRole::Reviewer),
        guest: None,
        is_rehearsal: page.is_rehearsal(),
        keys: None,
        video: Box::new(move |item| {
            // With the version, a browser never shows a kept video for a new one.
            let key = ConsoleLinks::encode_segment(&item.key);
            format!("{videos}/videos/{key}?version={}", item.version)
        }),
    }
}
