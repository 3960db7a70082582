//! Requests for metadata alone.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::stage::{config_map, hold, post};

#[test]
fn metadata_alone_can_be_got_listed_and_patched() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let mut wanted = config_map("a", json!({"x": "1"}));
        wanted.metadata.labels = Some([("app".to_owned(), "web".to_owned())].into());
        let created = maps.create(&post(), &wanted).await.unwrap();
        let got = maps.get_metadata("a").await.unwrap();
        let types = got.types.as_ref().unwrap();
        assert_eq!(
            (types.kind.as_str(), types.api_version.as_str()),
            ("PartialObjectMetadata", "meta.k8s.io/v1")
        );
        assert_eq!(got.uid(), created.uid());
        let listed = maps.list_metadata(&ListParams::default().labels("app=web")).await.unwrap();
        assert_eq!(listed.items.len(), 1);
        assert_eq!(listed.items[0].resource_version(), created.resource_version());
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"note": "1"}}}));
        let patched = maps.patch_metadata("a", &PatchParams::default(), &patch).await.unwrap();
        assert_eq!(patched.annotations()["note"], "1");
        assert_eq!(maps.get("a").await.unwrap().data.unwrap()["x"], "1");
    });
}
