//! S3 buckets of our own: made closed, versioned and tagged; emptied of every version; deleted. Reading objects is `s3`.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, Delete, ObjectIdentifier, PublicAccessBlockConfiguration,
    Tag, Tagging, VersioningConfiguration,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use serde::Serialize;

use crate::aws::errors::classify;
use crate::aws::pages::Pages;
use crate::aws::session::Session;
use crate::aws::times::timestamp;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};

/// A bucket as several calls state it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// When it was created (ListBuckets), where it is one of ours.
    pub created_at: Option<Timestamp>,
    /// Whether versioning is enabled.
    pub versioned: bool,
    /// Whether all four settings of the public access block are on.
    pub closed: bool,
    /// Whether it holds no version and no delete marker.
    pub empty: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What a bucket would not let go of.
#[derive(Default)]
struct Kept {
    count: u64,
    /// Key and version of the first few.
    first: Vec<(String, Option<String>)>,
}

impl Kept {
    fn take(&mut self, what: &str, error: aws_sdk_s3::types::Error) -> Result<(), Failure> {
        let code = error.code.as_deref().unwrap_or("no code");
        let key = error.key.clone().unwrap_or_default();
        if code != "AccessDenied" {
            let kind = crate::aws::errors::kind_of_code(code);
            let said = error.message.as_deref().unwrap_or("no message");
            return Err(Failure::new(kind, format!("{what}: {}: {code}: {said}", key.escape_debug())));
        }
        self.count += 1;
        if self.first.len() < 5 {
            self.first.push((key, error.version_id));
        }
        Ok(())
    }
}

/// The buckets of one account.
#[derive(Clone, Debug)]
pub struct Buckets {
    client: Client,
    region: Option<String>,
}

impl Buckets {
    /// A client of `session`'s Region and identity.
    pub fn new(session: &Session) -> Self {
        let config = aws_sdk_s3::config::Builder::from(session.config()).force_path_style(session.has_custom_endpoint()).build();
        Self { client: Client::from_conf(config), region: session.region() }
    }

    /// The account's buckets whose names start with `prefix`, with their creation times.
    pub async fn names(&self, prefix: &str) -> Result<BTreeMap<String, Option<Timestamp>>, Failure> {
        let mut pages = Pages::of("s3:ListBuckets");
        let (mut names, mut token) = (BTreeMap::new(), None);
        loop {
            let call = self.client.list_buckets().set_continuation_token(token);
            let page = call.send().await.map_err(|error| classify(pages.call(), error))?;
            let buckets = page.buckets.unwrap_or_default();
            token = pages.next(page.continuation_token, buckets.iter().map(|bucket| bucket.name.as_deref().unwrap_or_default()))?;
            for bucket in buckets {
                if let Some(name) = bucket.name.filter(|name| name.starts_with(prefix)) {
                    names.insert(name, bucket.creation_date.as_ref().map(timestamp));
                }
            }
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    /// The bucket, or nothing where there is none of that name. A bucket of somebody else is an error: it cannot be looked at.
    pub async fn bucket(&self, name: &str) -> Result<Option<Bucket>, Failure> {
        if let Err(error) = self.client.head_bucket().bucket(name).send().await {
            let failure = classify(&format!("s3:HeadBucket {name}"), error);
            return if failure.kind == FailureKind::Absent { Ok(None) } else { Err(failure) };
        }
        Ok(Some(Bucket {
            name: name.to_owned(),
            created_at: self.names(name).await?.remove(name).flatten(),
            versioned: self.versioned(name).await?,
            closed: self.closed(name).await?,
            empty: self.empty(name).await?,
            tags: self.tags(name).await?,
        }))
    }

    /// CreateBucket in the session's Region. A bucket that is ours already is no error; one of somebody else is.
    pub async fn create(&self, name: &str) -> Result<(), Failure> {
        // us-east-1 is the one Region that must not be named.
        let place = self
            .region
            .as_deref()
            .filter(|region| *region != "us-east-1")
            .map(|region| CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build());
        match self.client.create_bucket().bucket(name).set_create_bucket_configuration(place).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let ours = error.as_service_error().is_some_and(|error| error.is_bucket_already_owned_by_you());
                if ours { Ok(()) } else { Err(classify(&format!("s3:CreateBucket {name}"), error)) }
            }
        }
    }

    /// Public access blocked, versioning on, tags set: each call may be repeated.
    pub async fn furnish(&self, name: &str, tags: &BTreeMap<String, String>) -> Result<(), Failure> {
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let call = self.client.put_public_access_block().bucket(name).public_access_block_configuration(block);
        call.send().await.map_err(|error| classify(&format!("s3:PutPublicAccessBlock {name}"), error))?;
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let call = self.client.put_bucket_versioning().bucket(name).versioning_configuration(versioning);
        call.send().await.map_err(|error| classify(&format!("s3:PutBucketVersioning {name}"), error))?;
        let what = format!("s3:PutBucketTagging {name}");
        let wrong = |error: aws_smithy_types::error::operation::BuildError| Failure::invalid(format!("{what}: {error}")).caused_by(error);
        let set =
            tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let tagging = Tagging::builder().set_tag_set(Some(set)).build().map_err(wrong)?;
        let call = self.client.put_bucket_tagging().bucket(name).tagging(tagging);
        call.send().await.map_err(|error| classify(&what, error))?;
        Ok(())
    }

    /// Deletes every version and every delete marker, then the bucket. An absent bucket is no error.
    pub async fn delete(&self, name: &str) -> Result<(), Failure> {
        let what = format!("s3:DeleteBucket {name}");
        let absent_is_done = |failure: Failure| if failure.kind == FailureKind::Absent { Ok(()) } else { Err(failure) };
        if let Err(failure) = self.clear(name).await {
            return absent_is_done(failure);
        }
        match self.client.delete_bucket().bucket(name).send().await {
            Ok(_) => Ok(()),
            Err(error) => absent_is_done(classify(&what, error)),
        }
    }

    /// Deletes all that may be deleted, and then says what may not: a version under Object Lock stands until its retention ends, and
    /// nobody is asked to bypass it.
    async fn clear(&self, name: &str) -> Result<(), Failure> {
        let (mut kept, mut last) = (Kept::default(), Vec::new());
        let mut from: (Option<String>, Option<String>) = (None, None);
        loop {
            let call = self.client.list_object_versions().bucket(name).max_keys(1000);
            let answer = call.set_key_marker(from.0.clone()).set_version_id_marker(from.1.clone()).send().await;
            let answer = answer.map_err(|error| classify(&format!("s3:ListObjectVersions {name}"), error))?;
            let next = (answer.next_key_marker.clone(), answer.next_version_id_marker.clone());
            let more = answer.is_truncated.unwrap_or(false);
            let versions = answer.versions.unwrap_or_default().into_iter().map(|one| (one.key, one.version_id));
            let markers = answer.delete_markers.unwrap_or_default().into_iter().map(|one| (one.key, one.version_id));
            let what = format!("s3:DeleteObjects {name}");
            let doomed = versions
                .chain(markers)
                .filter_map(|(key, version)| Some(ObjectIdentifier::builder().key(key?).set_version_id(version).build()))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| Failure::invalid(format!("{what}: {error}")).caused_by(error))?;
            if doomed.is_empty() {
                break;
            }
            if doomed == last {
                return Err(Failure::new(FailureKind::Remote, format!("{what}: what was deleted is listed again and again")));
            }
            last.clone_from(&doomed);
            // One request takes at most 1,000 keys; a listing page of versions and markers together has no more.
            let delete = Delete::builder().set_objects(Some(doomed)).quiet(true).build();
            let delete = delete.map_err(|error| Failure::invalid(format!("{what}: {error}")).caused_by(error))?;
            let answer = self.client.delete_objects().bucket(name).delete(delete).send().await;
            let refused = answer.map_err(|error| classify(&what, error))?.errors.unwrap_or_default();
            let any = !refused.is_empty();
            for error in refused {
                kept.take(&what, error)?;
            }
            // What is gone does not come again; past what stands the listing has to go.
            match (any, more) {
                (false, _) => {}
                (true, true) => from = next,
                (true, false) => break,
            }
        }
        self.told(name, kept).await
    }

    /// The failure that names what stands, with its locks as far as they may be seen.
    async fn told(&self, name: &str, kept: Kept) -> Result<(), Failure> {
        if kept.count == 0 {
            return Ok(());
        }
        let mut told = Vec::new();
        for (key, version) in kept.first {
            let retention = self.client.get_object_retention().bucket(name).key(&key).set_version_id(version.clone()).send().await;
            let retention = retention.ok().and_then(|answer| answer.retention).map(|retention| {
                let until = retention.retain_until_date().map_or_else(|| "an unknown time".to_owned(), |time| timestamp(time).to_string());
                format!("{} until {until}", retention.mode().map_or("locked", |mode| mode.as_str()))
            });
            let hold = self.client.get_object_legal_hold().bucket(name).key(&key).set_version_id(version.clone()).send().await;
            let held = hold.ok().and_then(|answer| answer.legal_hold?.status).is_some_and(|status| status.as_str() == "ON");
            let why: Vec<String> = retention.into_iter().chain(held.then(|| "legal hold".to_owned())).collect();
            let why = if why.is_empty() { "AccessDenied".to_owned() } else { why.join(", ") };
            told.push(format!("{} {}: {why}", key.escape_debug(), version.unwrap_or_default()));
        }
        let message = format!("bucket {name}: {} versions could not be deleted: {}", kept.count, told.join("; "));
        Err(Failure::new(FailureKind::Denied, message)
            .hint("what is under Object Lock stands until its retention ends: delete the bucket then"))
    }

    /// `Enabled`, `Suspended`, `never enabled`; nothing where there is no such bucket.
    pub async fn versioning(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.client.get_bucket_versioning().bucket(name).send().await {
            Ok(answer) => Ok(Some(answer.status.map_or_else(|| "never enabled".to_owned(), |status| status.as_str().to_owned()))),
            Err(error) => {
                let failure = classify(&format!("s3:GetBucketVersioning {name}"), error);
                if failure.kind == FailureKind::Absent { Ok(None) } else { Err(failure) }
            }
        }
    }

    async fn versioned(&self, name: &str) -> Result<bool, Failure> {
        let answer = self.client.get_bucket_versioning().bucket(name).send().await;
        let answer = answer.map_err(|error| classify(&format!("s3:GetBucketVersioning {name}"), error))?;
        Ok(answer.status == Some(BucketVersioningStatus::Enabled))
    }

    async fn closed(&self, name: &str) -> Result<bool, Failure> {
        match self.client.get_public_access_block().bucket(name).send().await {
            Ok(answer) => Ok(answer.public_access_block_configuration.is_some_and(|block| {
                let on = |setting: Option<bool>| setting.unwrap_or(false);
                on(block.block_public_acls)
                    && on(block.ignore_public_acls)
                    && on(block.block_public_policy)
                    && on(block.restrict_public_buckets)
            })),
            Err(error) => {
                answered_absent(&format!("s3:GetPublicAccessBlock {name}"), "NoSuchPublicAccessBlockConfiguration", error).map(|()| false)
            }
        }
    }

    async fn empty(&self, name: &str) -> Result<bool, Failure> {
        let answer = self.client.list_object_versions().bucket(name).max_keys(1).send().await;
        let answer = answer.map_err(|error| classify(&format!("s3:ListObjectVersions {name}"), error))?;
        Ok(answer.versions.is_none_or(|list| list.is_empty()) && answer.delete_markers.is_none_or(|list| list.is_empty()))
    }

    async fn tags(&self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        match self.client.get_bucket_tagging().bucket(name).send().await {
            Ok(answer) => Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()),
            Err(error) => answered_absent(&format!("s3:GetBucketTagging {name}"), "NoSuchTagSet", error).map(|()| BTreeMap::new()),
        }
    }
}

/// Some settings answer with an error of their own where they are not set.
fn answered_absent<E>(what: &str, code: &str, error: SdkError<E, HttpResponse>) -> Result<(), Failure>
where
    E: std::error::Error + aws_smithy_types::error::metadata::ProvideErrorMetadata + Send + Sync + 'static,
{
    if error.as_service_error().and_then(|error| error.code()) == Some(code) { Ok(()) } else { Err(classify(what, error)) }
}
