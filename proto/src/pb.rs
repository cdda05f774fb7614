//! Generated code, in modules that follow the packages.
//!
//! Some messages hold hashes, images or keys. Their `Debug` is implemented by hand and shows none of these.
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, rust_2018_idioms)]
#![allow(clippy::all, clippy::large_futures, clippy::wildcard_enum_match_arm)]

/// Package `vigie.model`.
pub mod model {
    /// Package `vigie.model.v1`.
    pub mod v1 {
        tonic::include_proto!("vigie.model.v1");
    }
}

/// Package `vigie.matching`.
pub mod matching {
    /// Package `vigie.matching.v1`.
    pub mod v1 {
        tonic::include_proto!("vigie.matching.v1");
    }
}

/// Package `vigie.coordinator`.
pub mod coordinator {
    /// Package `vigie.coordinator.v1`.
    pub mod v1 {
        tonic::include_proto!("vigie.coordinator.v1");
    }
}

/// Package `vigie.matcher`.
pub mod matcher {
    /// Package `vigie.matcher.v1`.
    pub mod v1 {
        tonic::include_proto!("vigie.matcher.v1");
    }
}

/// Package `vigie.decoder`.
pub mod decoder {
    /// Package `vigie.decoder.v1`.
    pub mod v1 {
        tonic::include_proto!("vigie.decoder.v1");
    }
}

/// Package `vigie.classifier`.
pub mod classifier {
    /// Package `vigie.classifier.v1`.
    pub mod v1 {
        tonic::include_proto!("vigie.classifier.v1");
    }
}

/// Package `inference`: the Open Inference Protocol, which servers of other projects speak.
pub mod inference {
    tonic::include_proto!("inference");
}

/// Package `vigie.bank`.
pub mod bank {
    /// Package `vigie.bank.v1`.
    pub mod v1 {
        tonic::include_proto!("vigie.bank.v1");
    }
}

/// Package `vigie.consortium`.
pub mod consortium {
    /// Package `vigie.consortium.v1`.
    pub mod v1 {
        tonic::include_proto!("vigie.consortium.v1");
    }
}

impl std::fmt::Debug for model::v1::Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hash({:?}, {} bytes)", self.hash_type(), self.value.len())
    }
}

impl std::fmt::Debug for model::v1::PackedHashes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PackedHashes({:?}, {} bytes of {} each)",
            self.hash_type(),
            self.values.len(),
            self.hash_bytes
        )
    }
}

impl std::fmt::Debug for model::v1::PictureHashes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PictureHashes({:?}, quality {}, {} hashes)", self.way(), self.pdq_quality, self.pdq.len())
    }
}

impl std::fmt::Debug for classifier::v1::Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({:?}, {} bytes)", self.shape, self.data.len())
    }
}

impl std::fmt::Debug for classifier::v1::ScoreItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScoreItem({} version {}, {:?})", self.model, self.version, self.content)
    }
}

impl std::fmt::Debug for classifier::v1::score_item::Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pixels(bytes) => write!(f, "pixels, {} bytes", bytes.len()),
            Self::Conversation(conversation) => write!(f, "{} messages", conversation.messages.len()),
        }
    }
}

impl std::fmt::Debug for classifier::v1::ConversationMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConversationMessage({} bytes)", self.text.len())
    }
}

impl std::fmt::Debug for decoder::v1::DecodeResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: usize = self.pixels.iter().map(Vec::len).sum();
        write!(f, "DecodeResponse({bytes} bytes of pixels)")
    }
}

impl std::fmt::Debug for matching::v1::MeasureScoresRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeasureScoresRequest({}, {:?})", self.model, self.content)
    }
}

impl std::fmt::Debug for matching::v1::measure_scores_request::Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image(bytes) => write!(f, "image, {} bytes", bytes.len()),
            Self::Conversation(conversation) => write!(f, "{} messages", conversation.messages.len()),
        }
    }
}

impl std::fmt::Debug for inference::ModelInferRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: usize = self.raw_input_contents.iter().map(Vec::len).sum();
        write!(f, "ModelInferRequest({}, {} inputs, {bytes} bytes)", self.model_name, self.inputs.len())
    }
}

impl std::fmt::Debug for inference::ModelInferResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: usize = self.raw_output_contents.iter().map(Vec::len).sum();
        write!(f, "ModelInferResponse({} outputs, {bytes} bytes)", self.outputs.len())
    }
}

impl std::fmt::Debug for inference::InferTensorContents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InferTensorContents(..)")
    }
}

impl std::fmt::Debug for matching::v1::MatchQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use matching::v1::match_query::Content;
        match &self.content {
            Some(Content::Image(bytes)) => write!(f, "MatchQuery(image, {} bytes)", bytes.len()),
            Some(Content::Hashed(hashed)) => write!(f, "MatchQuery({} hashes)", hashed.hashes.len()),
            Some(Content::Video(bytes)) => write!(f, "MatchQuery(video, {} bytes)", bytes.len()),
            None => f.write_str("MatchQuery(nothing)"),
        }
    }
}

impl std::fmt::Debug for matching::v1::HashRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HashRequest({} bytes)", self.image.len())
    }
}

impl std::fmt::Debug for matching::v1::MatchVideoRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use matching::v1::match_video_request::Part;
        match &self.part {
            Some(Part::Start(start)) => write!(f, "MatchVideoRequest({start:?})"),
            Some(Part::Content(bytes)) => write!(f, "MatchVideoRequest({} bytes)", bytes.len()),
            None => f.write_str("MatchVideoRequest(nothing)"),
        }
    }
}

impl std::fmt::Debug for matching::v1::HashVideoRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use matching::v1::hash_video_request::Part;
        match &self.part {
            Some(Part::Start(start)) => write!(f, "HashVideoRequest({start:?})"),
            Some(Part::Content(bytes)) => write!(f, "HashVideoRequest({} bytes)", bytes.len()),
            None => f.write_str("HashVideoRequest(nothing)"),
        }
    }
}

impl std::fmt::Debug for consortium::v1::CreatePrincipalRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CreatePrincipalRequest({:?} of {:?}, {:?})", self.roles, self.member, self.credential)
    }
}

impl std::fmt::Debug for consortium::v1::create_principal_request::Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SpiffeId(id) => write!(f, "SpiffeId({id:?})"),
            Self::TokenSubject(subject) => write!(f, "{subject:?}"),
            Self::NewApiKey(is_new) => write!(f, "NewApiKey({is_new})"),
            Self::ApiKey(_) => f.write_str("ApiKey(..)"),
        }
    }
}

impl std::fmt::Debug for consortium::v1::RotateKeyRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RotateKeyRequest({}, overlap {} s)", self.principal_id, self.overlap_seconds)
    }
}

impl std::fmt::Debug for consortium::v1::CreatePrincipalResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CreatePrincipalResponse({:?} as of {})", self.principal, self.sequence)
    }
}

impl std::fmt::Debug for consortium::v1::RotateKeyResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RotateKeyResponse({:?} as of {})", self.principal, self.sequence)
    }
}

impl std::fmt::Debug for bank::v1::DocumentPut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DocumentPut(kind {}, {} bytes)", self.kind, self.payload.len())
    }
}

impl std::fmt::Debug for consortium::v1::PrincipalPut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrincipalPut({:?})", self.principal)
    }
}

impl std::fmt::Debug for consortium::v1::NewReferral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewReferral({:?}, {:?}, {} members)", self.target, self.priority(), self.members.len())
    }
}

impl std::fmt::Debug for consortium::v1::new_referral::Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => write!(f, "Url({} bytes)", url.len()),
            Self::Hash(hash) => hash.fmt(f),
        }
    }
}
