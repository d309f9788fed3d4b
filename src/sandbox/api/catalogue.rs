//! The account's catalogue: avatars, workspaces, templates. Fixed and invented.

use serde_json::{Value, json};

use super::{HandlerResult, RequestRejection, SandboxApi, SandboxResponse};

/// An item with an id and a display name.
struct NamedItem {
    id: &'static str,
    name: &'static str,
}

const fn named_item(id: &'static str, name: &'static str) -> NamedItem {
    NamedItem { id, name }
}

struct SandboxAvatar {
    avatar: NamedItem,
    kind: &'static str,
    clothes: &'static [NamedItem],
}

/// The first is the one in the vendor's samples.
const AVATARS: [SandboxAvatar; 4] = [
    SandboxAvatar {
        avatar: named_item("M000045058", "Jonathan"),
        kind: "studio",
        clothes: &[named_item("BG00002320", "Suit"), named_item("BG00002321", "Knitwear")],
    },
    SandboxAvatar {
        avatar: named_item("M000004017", "Hannah"),
        kind: "studio",
        clothes: &[named_item("BG00006160", "Blazer")],
    },
    SandboxAvatar {
        avatar: named_item("M000052231", "Seo-yeon"),
        kind: "studio",
        clothes: &[named_item("BG00003305", "Business"), named_item("BG00003306", "Casual")],
    },
    SandboxAvatar {
        avatar: named_item("M000060009", "Mateo"),
        kind: "custom",
        clothes: &[named_item("BG00007001", "Shirt")],
    },
];

const WORKSPACES: [NamedItem; 2] = [
    named_item("66f0a1b2c3d4e5f60718293c", "Team"),
    named_item("66f0a1b2c3d4e5f60718293d", "Marketing"),
];

const TEMPLATES_BUSINESS: [NamedItem; 2] = [
    named_item("655c744d2b4d3b4051400be0", "Product intro"),
    named_item("655c744d2b4d3b4051400be1", "Weekly news"),
];

const TEMPLATES_AUTOMATION: [NamedItem; 2] = [
    named_item("69af77d4e37ba7022906aaaa", "PPT right top"),
    named_item("69af77d4e37ba7022906bbbb", "PPT left"),
];

pub(super) fn has_template(id: &str) -> bool {
    TEMPLATES_BUSINESS.iter().chain(&TEMPLATES_AUTOMATION).any(|known| known.id == id)
}

/// The avatar and clothes used where a request names none.
pub(super) fn default_avatar() -> (&'static str, &'static str) {
    (AVATARS[0].avatar.id, AVATARS[0].clothes[0].id)
}

impl SandboxApi<'_> {
    pub(super) fn list_model_details(&self) -> HandlerResult {
        if !self.switches.catalogue.model_page {
            return Err(RequestRejection::not_found("endpoint"));
        }
        let models: Vec<_> = AVATARS.iter().map(model_json).collect();
        Ok(SandboxResponse::success(json!({ "models": models })))
    }

    pub(super) fn list_models(&self) -> SandboxResponse {
        let items = AVATARS.iter().map(|SandboxAvatar { avatar, kind, clothes }| {
            let label = format!("{} ({})", avatar.name, clothes[0].name);
            json!({"id": avatar.id, "label": label, "avatarType": kind})
        });
        SandboxResponse::from_list(items.collect(), "models", self.switches.catalogue.models)
    }

    pub(super) fn list_workspaces(&self) -> SandboxResponse {
        let item = |one: &NamedItem| json!({"workspaceId": one.id, "workspaceName": one.name});
        let items = WORKSPACES.iter().map(item).collect();
        SandboxResponse::from_list(items, "workspaces", self.switches.catalogue.workspaces)
    }

    pub(super) fn list_business_templates(&self) -> SandboxResponse {
        let item = |one: &NamedItem| json!({"id": one.id, "name": one.name});
        let items = TEMPLATES_BUSINESS.iter().map(item).collect();
        SandboxResponse::from_list(items, "templates", self.switches.catalogue.templates_business)
    }

    pub(super) fn list_automation_templates(&self) -> SandboxResponse {
        let item = |NamedItem { id, name }: &NamedItem| {
            let thumbnail = picture_url(id);
            json!({"id": id, "name": name, "thumbnailUrl": thumbnail})
        };
        let items = TEMPLATES_AUTOMATION.iter().map(item).collect();
        SandboxResponse::from_list(items, "templates", self.switches.catalogue.templates_automation)
    }
}

fn model_json(SandboxAvatar { avatar, clothes, .. }: &SandboxAvatar) -> Value {
    let item = |one: &NamedItem| {
        let label = json!({"ko": one.name, "en": one.name});
        json!({"id": one.id, "label": label, "thumbnail": picture_url(one.id)})
    };
    let mut model = item(avatar);
    model["clothes"] = clothes.iter().map(item).collect();
    model
}

fn picture_url(id: &str) -> String {
    format!("https://cdn.sandbox.invalid/{id}.png")
}
